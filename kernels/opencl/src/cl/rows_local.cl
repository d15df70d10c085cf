// Work on runs of n numbers of type T (float or double) by groups of ITEMS items side by side: one group a run. A is the type
// that sums are kept in. After math.cl.

// Each item puts `mine` in its place of `parts`; then what follows brings that of `id + reach` into that of `id`, for ever shorter
// reaches, until all is in the first place.
#define GATHER(parts, mine, ...) \
    int id = get_local_id(0); \
    barrier(CLK_LOCAL_MEM_FENCE); \
    parts[id] = mine; \
    for (int reach = ITEMS / 2; reach > 0; reach /= 2) { \
        barrier(CLK_LOCAL_MEM_FENCE); \
        if (id < reach) { __VA_ARGS__ } \
    } \
    barrier(CLK_LOCAL_MEM_FENCE);

static A sum_of_all(local A *parts, A mine) {
    GATHER(parts, mine, parts[id] += parts[id + reach];)
    return parts[0];
}

static T greatest_of_all(local T *parts, T mine) {
    GATHER(parts, mine, parts[id] = fmax(parts[id], parts[id + reach]);)
    return parts[0];
}

#define EACH(i) for (int i = get_local_id(0); i < n; i += ITEMS)
#define RUN __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void

static T greatest(local T *parts, global const T *x, int n) {
    T top = -INFINITY;
    EACH(i) top = fmax(top, x[i]);
    return greatest_of_all(parts, top);
}

static A sum_of(local A *parts, global const T *x, int n) {
    A sum = 0;
    EACH(i) sum += x[i];
    return sum_of_all(parts, sum);
}

static A squares_of(local A *parts, global const T *x, int n, A mean) {
    A sum = 0;
    EACH(i) {
        A d = x[i] - mean;
        sum += d * d;
    }
    return sum_of_all(parts, sum);
}

// The sum of what the numbers are above `top` as powers of e.
static A powers_of(local A *parts, global const T *x, int n, T top) {
    A sum = 0;
    EACH(i) sum += EXP(x[i] - top);
    return sum_of_all(parts, sum);
}

kernel RUN softmax(global const T *restrict x, global T *restrict out, int n) {
    local T tops[ITEMS];
    local A sums[ITEMS];
    x += (size_t)get_group_id(0) * n;
    out += (size_t)get_group_id(0) * n;
    T top = greatest(tops, x, n);
    T scale = 1 / powers_of(sums, x, n, top);
    EACH(i) out[i] = EXP(x[i] - top) * scale;
}

kernel RUN log_softmax(global const T *restrict x, global T *restrict out, int n) {
    local T tops[ITEMS];
    local A sums[ITEMS];
    x += (size_t)get_group_id(0) * n;
    out += (size_t)get_group_id(0) * n;
    T top = greatest(tops, x, n);
    T shift = top + (T)log(powers_of(sums, x, n, top));
    EACH(i) out[i] = x[i] - shift;
}

kernel RUN norm(
    global const T *restrict x, global T *restrict out, int n, int centre, A eps,
    global const T *restrict weight, global const T *restrict bias)
{
    local A sums[ITEMS];
    x += (size_t)get_group_id(0) * n;
    out += (size_t)get_group_id(0) * n;
    A mean = centre ? sum_of(sums, x, n) / n : 0;
    A scale = 1 / sqrt(squares_of(sums, x, n, mean) / n + eps);
    T m = (T)mean, s = (T)scale;
    EACH(i) {
        T y = (x[i] - m) * s;
        if (weight) y *= weight[i];
        if (bias) y += bias[i];
        out[i] = y;
    }
}

// Reductions: a kernel each, `param` is a correction or power.
#define REDUCE(NAME, OUT, ...) \
    kernel RUN reduce_##NAME(global const T *restrict x, global OUT *restrict out, int n, A param) { \
        local A sums[ITEMS]; \
        size_t at = get_group_id(0); \
        x += at * n; \
        OUT result; \
        __VA_ARGS__ \
        if (get_local_id(0) == 0) out[at] = result; \
    }

REDUCE(sum, T, result = (T)sum_of(sums, x, n);)
REDUCE(mean, T, result = (T)(sum_of(sums, x, n) / n);)
REDUCE(var, T, A mean = sum_of(sums, x, n) / n;
    result = (T)(squares_of(sums, x, n, mean) / fmax(n - param, (A)0));)
REDUCE(std, T, A mean = sum_of(sums, x, n) / n;
    result = (T)sqrt(squares_of(sums, x, n, mean) / fmax(n - param, (A)0));)
REDUCE(norm2, T, result = (T)sqrt(squares_of(sums, x, n, 0));)
REDUCE(prod, T,
    A p = 1;
    EACH(i) p *= x[i];
    GATHER(sums, p, sums[id] *= sums[id + reach];)
    result = (T)sums[0];)
REDUCE(logsumexp, T,
    local T tops[ITEMS];
    T top = greatest(tops, x, n);
    A sum = 0, nans = 0;
    EACH(i) { nans += isnan(x[i]) ? 1 : 0; sum += exp((A)(x[i] - top)); }
    nans = sum_of_all(sums, nans);
    sum = sum_of_all(sums, sum);
    result = nans > 0 ? (T)NAN : isinf(top) ? top : (T)(top + log(sum));)
REDUCE(any, uchar, A n_true = 0; EACH(i) n_true += x[i] != 0 ? 1 : 0; result = sum_of_all(sums, n_true) > 0;)
REDUCE(all, uchar, A n_false = 0; EACH(i) n_false += x[i] != 0 ? 0 : 1; result = sum_of_all(sums, n_false) == 0;)

// The first of the best: NaN before all, then what is greater by ORDER.
#define BEATS(ORDER, u, i, v, j) \
    (isnan(u) != isnan(v) ? isnan(u) : (u) ORDER (v) || !((v) ORDER (u)) && (i) < (j))
#define BEST(ORDER) \
    local int places[ITEMS]; \
    int best = min((int)get_local_id(0), n - 1); \
    EACH(i) { \
        T u = x[i]; \
        T v = x[best]; \
        if (BEATS(ORDER, u, i, v, best)) best = i; \
    } \
    GATHER(places, best, \
        T u = x[places[id + reach]]; \
        T v = x[places[id]]; \
        if (BEATS(ORDER, u, places[id + reach], v, places[id])) places[id] = places[id + reach];) \
    best = places[0];
REDUCE(amax, T, BEST(>) result = x[best];)
REDUCE(amin, T, BEST(<) result = x[best];)
REDUCE(argmax, long, BEST(>) result = best;)
REDUCE(argmin, long, BEST(<) result = best;)
