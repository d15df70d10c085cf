// Reductions of Bool.

kernel void reduce_any(global const uchar *restrict x, global uchar *restrict out, int n, float param) {
    x += (size_t)get_global_id(0) * n;
    int y = 0;
    for (int i = 0; i < n; i++) y |= x[i] != 0;
    out[get_global_id(0)] = y;
}

kernel void reduce_all(global const uchar *restrict x, global uchar *restrict out, int n, float param) {
    x += (size_t)get_global_id(0) * n;
    int y = 1;
    for (int i = 0; i < n; i++) y &= x[i] != 0;
    out[get_global_id(0)] = y;
}
