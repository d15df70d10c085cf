// Work on runs of n numbers of type T (float or double): one item a run. A is the type that sums are kept in. After
// math.cl.

#define LANES 16
#define TV16 CAT(T, 16)
#define AV16 CAT(A, 16)
#define TO_A16 CAT(convert_, AV16)
#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

static A total(AV16 x) {
    A lanes[LANES];
    vstore16(x, 0, lanes);
    A sum = 0;
    for (int i = 0; i < LANES; i++) sum += lanes[i];
    return sum;
}

static A sum_of(global const T *x, int n) {
    AV16 lanes = 0;
    int i = 0;
    for (; i + LANES <= n; i += LANES) lanes += TO_A16(vload16(0, x + i));
    A rest = 0;
    for (; i < n; i++) rest += x[i];
    return rest + total(lanes);
}

static A squares_of(global const T *x, int n, A mean) {
    AV16 lanes = 0;
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        AV16 d = TO_A16(vload16(0, x + i)) - mean;
        lanes += d * d;
    }
    A rest = 0;
    for (; i < n; i++) {
        A d = x[i] - mean;
        rest += d * d;
    }
    return rest + total(lanes);
}

// NaN wins.
static T greatest(global const T *x, int n) {
    TV16 top = -INFINITY;
    int i = 0;
    for (; i + LANES <= n; i += LANES) top = fmax(top, vload16(0, x + i));
    T lanes[LANES];
    vstore16(top, 0, lanes);
    T best = -INFINITY;
    for (int j = 0; j < LANES; j++) best = fmax(best, lanes[j]);
    for (; i < n; i++) best = fmax(best, x[i]);
    return best;
}

kernel void softmax(global const T *restrict x, global T *restrict out, int n) {
    x += (size_t)get_global_id(0) * n;
    out += (size_t)get_global_id(0) * n;
    T top = greatest(x, n);
    AV16 lanes = 0;
    A rest = 0;
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        TV16 e = EXP16(vload16(0, x + i) - top);
        vstore16(e, 0, out + i);
        lanes += TO_A16(e);
    }
    for (; i < n; i++) {
        T e = EXP(x[i] - top);
        out[i] = e;
        rest += e;
    }
    T scale = 1 / (rest + total(lanes));
    for (i = 0; i < n; i++) out[i] *= scale;
}

kernel void log_softmax(global const T *restrict x, global T *restrict out, int n) {
    x += (size_t)get_global_id(0) * n;
    out += (size_t)get_global_id(0) * n;
    T top = greatest(x, n);
    A sum = 0;
    for (int i = 0; i < n; i++) sum += EXP(x[i] - top);
    T shift = top + (T)log(sum);
    for (int i = 0; i < n; i++) out[i] = x[i] - shift;
}

kernel void norm(
    global const T *restrict x, global T *restrict out, int n, int centre, A eps,
    global const T *restrict weight, global const T *restrict bias)
{
    x += (size_t)get_global_id(0) * n;
    out += (size_t)get_global_id(0) * n;
    A mean = centre ? sum_of(x, n) / n : 0;
    A scale = 1 / sqrt(squares_of(x, n, mean) / n + eps);
    T m = (T)mean, s = (T)scale;
    for (int i = 0; i < n; i++) {
        T y = (x[i] - m) * s;
        if (weight) y *= weight[i];
        if (bias) y += bias[i];
        out[i] = y;
    }
}

// Reductions: a kernel each (some names are those of built-in functions, so `reduce_` goes before them), `param` is a correction or power.
#define REDUCE(NAME, OUT, BODY) \
    kernel void reduce_##NAME(global const T *restrict x, global OUT *restrict out, int n, A param) { \
        size_t at = get_global_id(0); \
        x += at * n; \
        BODY \
    }

REDUCE(sum, T, out[at] = (T)sum_of(x, n);)
REDUCE(mean, T, out[at] = (T)(sum_of(x, n) / n);)
REDUCE(prod, T, A p = 1; for (int i = 0; i < n; i++) p *= x[i]; out[at] = (T)p;)
REDUCE(var, T, A mean = sum_of(x, n) / n; out[at] = (T)(squares_of(x, n, mean) / fmax(n - param, (A)0));)
REDUCE(std, T, A mean = sum_of(x, n) / n; out[at] = (T)sqrt(squares_of(x, n, mean) / fmax(n - param, (A)0));)
REDUCE(norm2, T, out[at] = (T)sqrt(squares_of(x, n, 0));)

#define BEST(BEATS) \
    int best = 0; \
    for (int i = 0; i < n; i++) { \
        if (isnan(x[best])) break; \
        if (x[i] BEATS x[best] || isnan(x[i])) best = i; \
    }
REDUCE(amax, T, BEST(>) out[at] = x[best];)
REDUCE(amin, T, BEST(<) out[at] = x[best];)
REDUCE(argmax, long, BEST(>) out[at] = best;)
REDUCE(argmin, long, BEST(<) out[at] = best;)
REDUCE(logsumexp, T,
    T top = greatest(x, n); A sum = 0;
    bool nan = false;
    for (int i = 0; i < n; i++) { nan = nan || isnan(x[i]); sum += exp((A)(x[i] - top)); }
    out[at] = nan ? (T)NAN : isinf(top) ? top : (T)(top + log(sum));)
REDUCE(any, uchar, int y = 0; for (int i = 0; i < n; i++) y |= x[i] != 0; out[at] = y;)
REDUCE(all, uchar, int y = 1; for (int i = 0; i < n; i++) y &= x[i] != 0; out[at] = y;)
