// Functions of float, one number or sixteen, without branches, so that loops over them become vector code; the
// formulas are those of the processor's kernels. In double the built-in functions serve.

#pragma OPENCL FP_CONTRACT ON

#define MATH(V, I, P) \
    V P##exp(V x) { \
        x = select(x, (V)89.0f, x > (V)89.0f); \
        x = select(x, (V)-104.0f, x < (V)-104.0f); \
        V shifted = x * 1.44269504f + 12582912.0f; \
        V n = shifted - 12582912.0f; \
        I k = as_##I(shifted) - as_##I((V)12582912.0f); \
        V r = x - n * 0.693359375f - n * -2.12194440e-4f; \
        V p = (V)1.9875691500e-4f; \
        p = p * r + 1.3981999507e-3f; \
        p = p * r + 8.3334519073e-3f; \
        p = p * r + 4.1665795894e-2f; \
        p = p * r + 1.6666665459e-1f; \
        p = p * r + 0.5f; \
        V y = p * r * r + r + 1.0f; \
        I half_k = k >> 1; \
        return y * as_##V((half_k + 127) << 23) * as_##V((k - half_k + 127) << 23); \
    } \
    V P##sigmoid(V x) { return 1.0f / (1.0f + P##exp(-x)); } \
    V P##tanh(V x) { \
        V c = select(x, (V)7.905311f, x > (V)7.905311f); \
        c = select(c, (V)-7.905311f, c < (V)-7.905311f); \
        V z = c * c; \
        V p = (V)-2.7607685e-16f; \
        p = p * z + 2.000188e-13f; \
        p = p * z - 8.604672e-11f; \
        p = p * z + 5.122297e-8f; \
        p = p * z + 1.4857224e-5f; \
        p = p * z + 6.3726193e-4f; \
        p = p * z + 4.8935246e-3f; \
        V q = (V)1.1982584e-6f; \
        q = q * z + 1.185347e-4f; \
        q = q * z + 2.2684346e-3f; \
        q = q * z + 4.893525e-3f; \
        V y = c * p / q; \
        y = select(y, (V)1.0f, x > (V)7.905311f); \
        y = select(y, (V)-1.0f, x < (V)-7.905311f); \
        return select(y, x, fabs(x) < (V)4e-4f); \
    } \
    V P##erf(V x) { \
        V c = select(x, (V)4.0f, x > (V)4.0f); \
        c = select(c, (V)-4.0f, c < (V)-4.0f); \
        V z = c * c; \
        V p = (V)-2.7261423e-10f; \
        p = p * z + 2.7706814e-8f; \
        p = p * z - 2.101024e-6f; \
        p = p * z - 5.6925064e-5f; \
        p = p * z - 7.349906e-4f; \
        p = p * z - 2.9545993e-3f; \
        p = p * z - 1.6096033e-2f; \
        V q = (V)-1.4566072e-5f; \
        q = q * z - 2.1337406e-4f; \
        q = q * z - 1.682827e-3f; \
        q = q * z - 7.373329e-3f; \
        q = q * z - 1.4264739e-2f; \
        V y = c * p / q; \
        y = select(y, (V)1.0f, y > (V)1.0f); \
        return select(y, (V)-1.0f, y < (V)-1.0f); \
    } \
    V P##gelu(V x) { x = select(x, (V)-6.0f, x < (V)-6.0f); return 0.5f * x * (1.0f + P##erf(x * 0.70710678f)); } \
    V P##gelu_tanh(V x) { x = select(x, (V)-6.0f, x < (V)-6.0f); return 0.5f * x * (1.0f + P##tanh(0.7978846f * (x + 0.044715f * x * x * x))); } \
    V P##clip(V x, float low, float high) { \
        x = select(x, (V)low, x < (V)low); \
        return select(x, (V)high, x > (V)high); \
    } \
    /* The activations of products and convolutions, by the numbers that the host side gives them. */ \
    V P##activate(V x, int which, float slope) { \
        switch (which) { \
        case 1: return select(x, (V)0.0f, x < (V)0.0f); \
        case 2: return P##clip(x, 0.0f, 6.0f); \
        case 3: return select(x, x * slope, x < (V)0.0f); \
        case 4: return P##gelu(x); \
        case 5: return P##gelu_tanh(x); \
        case 6: return x / (1.0f + P##exp(-x)); \
        case 7: return P##sigmoid(x); \
        case 8: return P##tanh(x); \
        case 9: return x * P##clip(x + 3.0f, 0.0f, 6.0f) * (1.0f / 6.0f); \
        case 10: return P##clip(x + 3.0f, 0.0f, 6.0f) * (1.0f / 6.0f); \
        default: return x; \
        } \
    }

MATH(float, int, f_)
MATH(float16, int16, v_)
