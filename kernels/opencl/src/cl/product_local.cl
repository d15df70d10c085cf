// Products for devices whose items run side by side in groups with fast local memory, in any float type T.
//
// A group computes BM x BN sums of `left @ right`, each of its items TM x TN of them in registers. Both factors come through
// local memory, BK deep at a time; while one step is summed the next is fetched. Where a product has few sums, several groups
// share them: each has a slice of the depth, and `total` adds what they found.
//
// LEFT_FLAT: neighbouring items fetch neighbouring rows of the left factor, otherwise neighbouring numbers of a row.
// RIGHT_DEEP: neighbouring items fetch down a column of the right factor, otherwise along a row.
// KH, KW: the right factor is windows of images: row (channel, i, j) of a group, column (image, y, x).

#define ITEMS (BM / TM * (BN / TN))
// Rows of local memory begin at other banks, and vectors at multiples of their size.
#define PAD 4
#define LEFT_EACH (BM * BK / ITEMS)
#define RIGHT_EACH (BN * BK / ITEMS)
// Vectors of four of an item's rows and columns; one of each lies in each part of the tile.
#define ROW_PARTS (TM / 4)
#define COLUMN_PARTS (TN / 4)

#if LEFT_FLAT
#define LEFT_ROW(i) (t % BM)
#define LEFT_K(i) (t / BM + (i) * (ITEMS / BM))
#else
#define LEFT_ROW(i) (t / BK + (i) * (ITEMS / BK))
#define LEFT_K(i) (t % BK)
#endif
#if RIGHT_DEEP
#define RIGHT_COLUMN(i) (t / BK + (i) * (ITEMS / BK))
#define RIGHT_K(i) (t % BK)
#else
#define RIGHT_COLUMN(i) (t % BN)
#define RIGHT_K(i) (t / BN + (i) * (ITEMS / BN))
#endif

// What follows a sum, and where it goes. Columns are `places` of an image after those of another.
#define FINISH_ARGS \
    int places, int rows, global const T *restrict bias, int bias_at, int bias_kind, global const T *restrict added, \
    int added_at, int activation, float slope, global T *restrict out

static void finish(T sum, int m, int matrix, int row, int column, FINISH_ARGS) {
    size_t place = ((size_t)(column / places) * rows + matrix * m + row) * places + column % places;
    if (bias_kind == 1) sum += bias[bias_at + column];
    if (bias_kind == 2) sum += bias[bias_at + matrix * m + row];
    if (added) sum += added[added_at + place];
    out[place] = ACTIVATE(sum, activation, slope);
}

#define FINISH places, rows, bias, bias_at, bias_kind, added, added_at, activation, slope, out

kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void tile(
    global const T *restrict a, int a_at, int a_m, int a_k, global const T *restrict b, int b_at,
#ifdef KH
    int image, int height, int width, int stride_h, int stride_w, int padding_h, int padding_w, int dilation_h,
    int dilation_w, int out_w,
#else
    int b_k, int b_n,
#endif
    int m, int k, int n, int3 stack, int3 steps_a, int3 steps_b, int slices, int depth, global T *restrict partial,
    FINISH_ARGS)
{
    local T left[2][BK][BM + PAD] __attribute__((aligned(32)));
    local T right[2][BK][BN + PAD] __attribute__((aligned(32)));
    int t = get_local_id(0), first_row = get_group_id(1) * BM, first_column = get_group_id(0) * BN;
    int matrix = get_group_id(2) / slices, slice = get_group_id(2) % slices;
    int start = slice * depth, end = min(k, start + depth);
    int i2 = matrix % stack.z, i1 = matrix / stack.z % stack.y, i0 = matrix / stack.z / stack.y;
    a += a_at + i0 * steps_a.x + i1 * steps_a.y + i2 * steps_a.z;
    b += b_at + i0 * steps_b.x + i1 * steps_b.y + i2 * steps_b.z;
#ifdef KH
    // An item fetches windows of one place.
    int column = min(first_column + RIGHT_COLUMN(0), n - 1), place = column % places;
    b += column / places * image;
    int top = place / out_w * stride_h - padding_h, side = place % out_w * stride_w - padding_w;
#endif
    T next_left[LEFT_EACH], next_right[RIGHT_EACH];
    T sums[TM][TN];
    for (int i = 0; i < TM; i++)
        for (int j = 0; j < TN; j++) sums[i][j] = 0;
    int x = t % (BN / TN) * 4, y = t / (BN / TN) * 4, which = 0;
    for (int at = start;; at += BK) {
        // Rows and columns past the end are the last one again, and not kept.
        if (at < end) {
            #pragma unroll
            for (int i = 0; i < LEFT_EACH; i++) {
                int deep = at + LEFT_K(i);
                next_left[i] = deep < end ? a[min(first_row + LEFT_ROW(i), m - 1) * a_m + deep * a_k] : 0;
            }
            #pragma unroll
            for (int i = 0; i < RIGHT_EACH; i++) {
                int deep = at + RIGHT_K(i);
#ifdef KH
                int v = top + deep % (KH * KW) / KW * dilation_h, u = side + deep % KW * dilation_w;
                bool inside = deep < end && v >= 0 && v < height && u >= 0 && u < width;
                next_right[i] = inside ? b[(deep / (KH * KW) * height + v) * width + u] : 0;
#else
                next_right[i] = deep < end ? b[deep * b_k + min(first_column + RIGHT_COLUMN(i), n - 1) * b_n] : 0;
#endif
            }
        }
        // The step that was fetched before.
        if (at > start) {
            #pragma unroll
            for (int deep = 0; deep < BK; deep++) {
                T4 rows4[ROW_PARTS], columns4[COLUMN_PARTS];
                #pragma unroll
                for (int p = 0; p < ROW_PARTS; p++)
                    rows4[p] = *(local const T4 *)&left[which][deep][p * (BM / ROW_PARTS) + y];
                #pragma unroll
                for (int p = 0; p < COLUMN_PARTS; p++)
                    columns4[p] = *(local const T4 *)&right[which][deep][p * (BN / COLUMN_PARTS) + x];
#define ONE(i, j, r, c) sums[p * 4 + i][q * 4 + j] = fma(rows4[p].r, columns4[q].c, sums[p * 4 + i][q * 4 + j]);
#define FOUR(i, r) ONE(i, 0, r, x) ONE(i, 1, r, y) ONE(i, 2, r, z) ONE(i, 3, r, w)
                #pragma unroll
                for (int p = 0; p < ROW_PARTS; p++)
                    #pragma unroll
                    for (int q = 0; q < COLUMN_PARTS; q++) { FOUR(0, x) FOUR(1, y) FOUR(2, z) FOUR(3, w) }
            }
        }
        if (at >= end) break;
        which = 1 - which;
        #pragma unroll
        for (int i = 0; i < LEFT_EACH; i++) left[which][LEFT_K(i)][LEFT_ROW(i)] = next_left[i];
        #pragma unroll
        for (int i = 0; i < RIGHT_EACH; i++) right[which][RIGHT_K(i)][RIGHT_COLUMN(i)] = next_right[i];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    #pragma unroll
    for (int i = 0; i < TM; i++) {
        int row = first_row + i / 4 * (BM / ROW_PARTS) + y + i % 4;
        if (row >= m) continue;
        #pragma unroll
        for (int j = 0; j < TN; j++) {
            int column = first_column + j / 4 * (BN / COLUMN_PARTS) + x + j % 4;
            if (column >= n) continue;
            if (slices == 1) finish(sums[i][j], m, matrix, row, column, FINISH);
            else partial[((size_t)get_group_id(2) * m + row) * n + column] = sums[i][j];
        }
    }
}

// The slices of each sum together: ids (column, row, matrix).
kernel void total(global const T *restrict partial, int slices, int m, int n, FINISH_ARGS) {
    int column = get_global_id(0), row = get_global_id(1), matrix = get_global_id(2);
    if (column >= n) return;
    partial += ((size_t)matrix * slices * m + row) * n + column;
    T sum = 0;
    for (int i = 0; i < slices; i++) sum += partial[(size_t)i * m * n];
    finish(sum, m, matrix, row, column, FINISH);
}
