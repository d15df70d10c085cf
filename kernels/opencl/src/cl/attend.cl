// Attention of float without a matrix of scores: softmax(q @ k^T * scale + mask) @ v. After math.cl.
//
// A group has QUERIES queries and LANES items for each. An item goes through every LANES-th key with a softmax of its own
// that grows with the keys (Milakov and Gimelshein, arXiv:1805.02867); what the items of a query found is joined at the end.
// WIDTH and WIDE are the widths of keys and values up to whole vectors, KEYS the keys in local memory at a time. MASK is 0
// without a mask, 1 for one that says what is seen, 2 for one that is added.

#define ITEMS (QUERIES * LANES)
#define PAD 4
#define EACH_KEYS (KEYS / LANES)
// Numbers of a result that are joined at a time.
#define PART LANES

#if MASK == 1
#define MASK_T uchar
#else
#define MASK_T float
#endif

// The first three steps of q, k, v and the mask are those of the stacked axes, the fourth that of rows.
kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void attend(
    global const float *restrict q, int q_at, int4 q_steps, int q_step, global const float *restrict k, int k_at,
    int4 k_steps, int k_step, global const float *restrict v, int v_at, int4 v_steps, int v_step,
    global const MASK_T *restrict mask, int mask_at, int4 mask_steps, int mask_step, int l, int s, int e, int w,
    int3 stack, float scale, int causal, float unseen, global float *restrict out)
{
    local float queries[QUERIES][WIDTH + PAD] __attribute__((aligned(16)));
    local float keys[KEYS][WIDTH + PAD] __attribute__((aligned(16)));
    local float values[KEYS][WIDE + PAD] __attribute__((aligned(16)));
    local float parts[ITEMS][PART + 1], tops[ITEMS], sums[ITEMS];
    int t = get_local_id(0), lane = t % LANES, mine = t / LANES;
    int matrix = get_group_id(1), first = get_group_id(0) * QUERIES, row = first + mine;
    int i2 = matrix % stack.z, i1 = matrix / stack.z % stack.y, i0 = matrix / stack.z / stack.y;
#define MATRIX(of) of += of##_at + i0 * of##_steps.x + i1 * of##_steps.y + i2 * of##_steps.z;
    MATRIX(q) MATRIX(k) MATRIX(v)
#if MASK
    MATRIX(mask)
    mask += min(row, l - 1) * mask_steps.w;
#endif
    for (int i = t; i < QUERIES * WIDTH; i += ITEMS) {
        int r = i / WIDTH, c = i % WIDTH;
        queries[r][c] = first + r < l && c < e ? q[(first + r) * q_steps.w + c * q_step] * scale : 0;
    }
    float top = -INFINITY, sum = 0;
    float4 found[WIDE / 4];
    #pragma unroll
    for (int d = 0; d < WIDE / 4; d++) found[d] = 0;
    int end = causal ? min(s, first + QUERIES) : s;
    for (int at = 0; at < end; at += KEYS) {
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = t; i < KEYS * WIDTH; i += ITEMS) {
            int r = i / WIDTH, c = i % WIDTH;
            keys[r][c] = at + r < s && c < e ? k[(at + r) * k_steps.w + c * k_step] : 0;
        }
        for (int i = t; i < KEYS * WIDE; i += ITEMS) {
            int r = i / WIDE, c = i % WIDE;
            values[r][c] = at + r < s && c < w ? v[(at + r) * v_steps.w + c * v_step] : 0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        float4 products[EACH_KEYS];
        float scores[EACH_KEYS];
        #pragma unroll
        for (int j = 0; j < EACH_KEYS; j++) products[j] = 0;
        #pragma unroll
        for (int d = 0; d < WIDTH; d += 4) {
            float4 x = *(local const float4 *)&queries[mine][d];
            #pragma unroll
            for (int j = 0; j < EACH_KEYS; j++)
                products[j] = fma(x, *(local const float4 *)&keys[j * LANES + lane][d], products[j]);
        }
        float higher = top;
        #pragma unroll
        for (int j = 0; j < EACH_KEYS; j++) {
            int key = at + j * LANES + lane;
            bool seen = key < s && (!causal || key <= row);
            float score = products[j].x + products[j].y + products[j].z + products[j].w;
#if MASK == 1
            seen = seen && mask[key * mask_step];
#elif MASK == 2
            if (seen) score += mask[key * mask_step];
#endif
            scores[j] = seen ? score : -INFINITY;
            higher = fmax(higher, scores[j]);
        }
        float shrink = top == -INFINITY ? 0 : f_exp(top - higher);
        top = higher;
        sum *= shrink;
        #pragma unroll
        for (int d = 0; d < WIDE / 4; d++) found[d] *= shrink;
        #pragma unroll
        for (int j = 0; j < EACH_KEYS; j++) {
            float weight = scores[j] == -INFINITY ? 0 : f_exp(scores[j] - top);
            sum += weight;
            #pragma unroll
            for (int d = 0; d < WIDE / 4; d++)
                found[d] = fma((float4)weight, *(local const float4 *)&values[j * LANES + lane][d * 4], found[d]);
        }
    }
    tops[t] = top;
    barrier(CLK_LOCAL_MEM_FENCE);
    float highest = -INFINITY;
    for (int i = 0; i < LANES; i++) highest = fmax(highest, tops[mine * LANES + i]);
    float share = top == -INFINITY ? (isnan(sum) ? NAN : 0) : f_exp(top - highest);
    sums[t] = sum * share;
    barrier(CLK_LOCAL_MEM_FENCE);
    float all = 0;
    for (int i = 0; i < LANES; i++) all += sums[mine * LANES + i];
    #pragma unroll
    for (int d = 0; d < WIDE; d += PART) {
        barrier(CLK_LOCAL_MEM_FENCE);
        #pragma unroll
        for (int c = 0; c < PART; c += 4) {
            float4 x = found[(d + c) / 4] * share;
            parts[t][c] = x.x;
            parts[t][c + 1] = x.y;
            parts[t][c + 2] = x.z;
            parts[t][c + 3] = x.w;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        float x = 0;
        for (int i = 0; i < LANES; i++) x += parts[mine * LANES + i][lane];
        if (row < l && d + lane < w)
            out[((size_t)matrix * l + row) * w + d + lane] = all == 0 ? unseen : x / all;
    }
}
