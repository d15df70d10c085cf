// Products of float matrices. After math.cl.
//
// The right factor is packed in panels of 32 columns: for each k the 32 numbers side by side, zeros beyond the last
// column. An item of `tile` keeps ROWS x 32 sums in registers and walks one panel. Items of one panel follow each
// other, so the panel stays in the cache.

#define COLUMNS 32

// One panel of one matrix of the stack: ids (panel, matrix).
kernel void pack(
    global const float *restrict b, int at, int step_k, int step_n, int k, int n,
    int3 stack, int3 steps, global float *restrict out)
{
    int panel = get_global_id(0), matrix = get_global_id(1);
    int i2 = matrix % stack.z, i1 = matrix / stack.z % stack.y, i0 = matrix / stack.z / stack.y;
    b += at + i0 * steps.x + i1 * steps.y + i2 * steps.z;
    out += ((size_t)matrix * get_global_size(0) + panel) * k * COLUMNS;
    int first = panel * COLUMNS, width = min(COLUMNS, n - first);
    b += first * step_n;
    if (step_n == 1 && width == COLUMNS) {
        for (int i = 0; i < k; i++) {
            vstore16(vload16(0, b + i * step_k), 0, out + i * COLUMNS);
            vstore16(vload16(1, b + i * step_k), 1, out + i * COLUMNS);
        }
        return;
    }
    if (width < COLUMNS)
        for (int i = 0; i < k; i++) {
            vstore16((float16)0, 0, out + i * COLUMNS);
            vstore16((float16)0, 1, out + i * COLUMNS);
        }
    for (int j = 0; j < width; j++)
        for (int i = 0; i < k; i++)
            out[i * COLUMNS + j] = b[i * step_k + j * step_n];
}

#define FOR_ROWS(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7)

// Eight rows of a left factor side by side, so that a tile reads one run of memory: ids (tile of rows, matrix).
kernel void pack_left(
    global const float *restrict a, int at, int step_m, int step_k, int m, int k, int3 stack, int3 steps,
    global float *restrict out)
{
    int tile = get_global_id(0), matrix = get_global_id(1);
    int i2 = matrix % stack.z, i1 = matrix / stack.z % stack.y, i0 = matrix / stack.z / stack.y;
    a += at + i0 * steps.x + i1 * steps.y + i2 * steps.z;
    out += ((size_t)matrix * get_global_size(0) + tile) * k * 8;
    for (int r = 0; r < 8; r++) {
        global const float *restrict row = a + min(tile * 8 + r, m - 1) * step_m;
        for (int i = 0; i < k; i++) out[i * 8 + r] = row[i * step_k];
    }
}

// ids (tile of rows, panel, matrix of the result). Row r of a tile begins `step_r` after row r - 1.
kernel void tile(
    global const float *restrict a, int at, int step_m, int step_r, int step_k,
    global const float *restrict panels, int m, int k, int n, int panels_step,
    int3 stack, int3 steps_a, int groups, int first_matrix,
    global const float *restrict bias, int bias_at, int bias_kind,
    global const float *restrict added, int added_at,
    int activation, float slope, global float *restrict out)
{
    int row = get_global_id(0) * ROWS, panel = get_global_id(1), matrix = get_global_id(2);
    int i2 = matrix % stack.z, i1 = matrix / stack.z % stack.y, i0 = matrix / stack.z / stack.y;
    a += at + i0 * steps_a.x + i1 * steps_a.y + i2 * steps_a.z;
    panels += (size_t)panels_step * matrix + (size_t)panel * k * COLUMNS;
    int top = m - 1 - row;
    // Rows beyond the last repeat it; they are not stored.
#if ROWS == 8
    #define START(r) \
        global const float *restrict a##r = a + row * step_m + min(r, top) * step_r; float16 s##r = 0, t##r = 0;
    FOR_ROWS(START)
    for (int i = 0; i < k; i++) {
        float16 b0 = vload16(0, panels), b1 = vload16(1, panels);
        panels += COLUMNS;
        #define STEP(r) { float x = a##r[i * step_k]; s##r = fma((float16)x, b0, s##r); t##r = fma((float16)x, b1, t##r); }
        FOR_ROWS(STEP)
    }
    float16 sums[16] = { s0, t0, s1, t1, s2, t2, s3, t3, s4, t4, s5, t5, s6, t6, s7, t7 };
#else
    global const float *restrict a0 = a + row * step_m;
    float16 s0 = 0, t0 = 0, s1 = 0, t1 = 0;
    int i = 0;
    for (; i + 1 < k; i += 2) {
        float x = a0[i * step_k], y = a0[(i + 1) * step_k];
        s0 = fma((float16)x, vload16(0, panels), s0);
        t0 = fma((float16)x, vload16(1, panels), t0);
        s1 = fma((float16)y, vload16(2, panels), s1);
        t1 = fma((float16)y, vload16(3, panels), t1);
        panels += 2 * COLUMNS;
    }
    if (i < k) {
        float x = a0[i * step_k];
        s0 = fma((float16)x, vload16(0, panels), s0);
        t0 = fma((float16)x, vload16(1, panels), t0);
    }
    float16 sums[2] = { s0 + s1, t0 + t1 };
#endif
    int rows = min(ROWS, m - row), first = panel * COLUMNS;
    size_t place = ((size_t)(first_matrix + matrix) * m + row) * n + first;
    if (bias) bias += bias_at;
    if (added) added += added_at;
    // A bias a row is one of `groups` groups of m: the channels of a convolution.
    int row_bias = (matrix % groups) * m + row;
    bool whole = first + COLUMNS <= n;
    for (int r = 0; r < rows; r++, place += n) {
        for (int side = 0; side < 2; side++) {
            float16 x = sums[2 * r + side];
            int column = first + 16 * side;
            if (whole) {
                if (bias_kind == 1) x += vload16(0, bias + column);
                if (bias_kind == 2) x += bias[row_bias + r];
                if (added) x += vload16(0, added + place + 16 * side);
                if (activation) x = v_activate(x, activation, slope);
                vstore16(x, 0, out + place + 16 * side);
            } else {
                float edge[16];
                vstore16(x, 0, edge);
                for (int j = 0; j < 16 && column + j < n; j++) {
                    float y = edge[j];
                    if (bias_kind == 1) y += bias[column + j];
                    if (bias_kind == 2) y += bias[row_bias + r];
                    if (added) y += added[place + 16 * side + j];
                    out[place + 16 * side + j] = f_activate(y, activation, slope);
                }
            }
        }
    }
}
