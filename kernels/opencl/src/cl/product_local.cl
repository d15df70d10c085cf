// Products for devices whose items run side by side in groups with fast local memory, in any float type T.
// A group of SIDE x SIDE items computes as many sums from squares of both factors.

kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void square(
    global const T *restrict a, int a_at, int a_m, int a_k, global const T *restrict b, int b_at, int b_k, int b_n,
    int m, int k, int n, int3 stack, int3 steps_a, int3 steps_b,
    global const T *restrict bias, int bias_at, int bias_kind, global const T *restrict added, int added_at,
    int activation, float slope, global T *restrict out)
{
    local T left[SIDE][SIDE + 1], right[SIDE][SIDE + 1];
    int x = get_local_id(0), y = get_local_id(1), matrix = get_global_id(2);
    int row = get_group_id(1) * SIDE + y, column = get_group_id(0) * SIDE + x;
    int i2 = matrix % stack.z, i1 = matrix / stack.z % stack.y, i0 = matrix / stack.z / stack.y;
    a += a_at + i0 * steps_a.x + i1 * steps_a.y + i2 * steps_a.z;
    b += b_at + i0 * steps_b.x + i1 * steps_b.y + i2 * steps_b.z;
    T sum = 0;
    for (int at = 0; at < k; at += SIDE) {
        left[y][x] = row < m && at + x < k ? a[row * a_m + (at + x) * a_k] : 0;
        right[y][x] = column < n && at + y < k ? b[(at + y) * b_k + column * b_n] : 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = 0; i < SIDE; i++) sum = fma(left[y][i], right[i][x], sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (row < m && column < n) {
        size_t place = ((size_t)matrix * m + row) * n + column;
        if (bias_kind == 1) sum += bias[bias_at + column];
        if (added) sum += added[added_at + place];
        out[place] = ACTIVATE(sum, activation, slope);
    }
}
