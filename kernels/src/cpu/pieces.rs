//! Tables computed by the compiler: what GELU is below `max(x, 0)`, in 32 pieces, and powers of 2.

/// A function from 0 on, where it is 0, that has vanished before 7.75: for each quarter around a multiple of 1/4 the
/// coefficients of a polynomial of the distance from it, the lowest first.
pub type Pieces = [[f32; 32]; 5];

/// `a · Φ(-a)`: `gelu(x)` is `max(x, 0)` less this of `|x|`.
pub static GELU: Pieces = pieces(values(false));
/// The same for the formula with tanh: `a / (1 + exp(2 · √(2/π) · (a + 0.044715 · a³)))`.
pub static GELU_TANH: Pieces = pieces(values(true));

/// 2^(i/32).
pub static POWERS: [f32; 32] = powers();

const fn powers() -> [f32; 32] {
    let mut powers = [0.0; 32];
    let mut i = 0;
    while i < 32 {
        powers[i] = exp(i as f64 / 32.0 * std::f64::consts::LN_2) as f32;
        i += 1;
    }
    powers
}

/// Where Chebyshev's polynomial of degree 5 is 0, scaled to half a quarter: of all polynomials of degree 4, the one through
/// the values there is off by little more than the best.
const PLACES: [f64; 5] = [OUTER, INNER, 0.0, -INNER, -OUTER];
const OUTER: f64 = 0.951_056_516_295_153_5 / 8.0;
const INNER: f64 = 0.587_785_252_292_473_1 / 8.0;

/// The function at the places of each piece.
const fn values(by_tanh: bool) -> [[f64; 5]; 32] {
    let mut values = [[0.0; 5]; 32];
    let mut i = 0;
    while i < 160 {
        let a = (i / 5) as f64 / 4.0 + PLACES[i % 5];
        values[i / 5][i % 5] = if by_tanh {
            a / (1.0 + exp(1.595_769_121_605_730_8 * (a + 0.044_715 * a * a * a)))
        } else {
            a * normal_below(-a)
        };
        i += 1;
    }
    values
}

const fn pieces(values: [[f64; 5]; 32]) -> Pieces {
    let mut pieces = [[0.0; 32]; 5];
    let mut i = 0;
    while i < 32 {
        // Newton's divided differences, then his form multiplied out.
        let mut c = values[i];
        let mut level = 1;
        while level < 5 {
            let mut k = 4;
            while k >= level {
                c[k] = (c[k] - c[k - 1]) / (PLACES[k] - PLACES[k - level]);
                k -= 1;
            }
            level += 1;
        }
        let mut powers = [0.0; 5];
        let mut k = 5;
        while k > 0 {
            k -= 1;
            let mut j = 4;
            while j > 0 {
                powers[j] = powers[j - 1] - PLACES[k] * powers[j];
                j -= 1;
            }
            powers[0] = c[k] - PLACES[k] * powers[0];
        }
        let mut j = 0;
        while j < 5 {
            pieces[j][i] = powers[j] as f32;
            j += 1;
        }
        i += 1;
    }
    // So that small numbers keep all their digits.
    pieces[0][0] = 0.0;
    pieces
}

/// e^x by its series, after halving and before squaring as often.
const fn exp(x: f64) -> f64 {
    let small = x / 1024.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1);
    while k < 16 {
        term = term * small / k as f64;
        sum += term;
        k += 1;
    }
    let mut squared = 0;
    while squared < 10 {
        sum *= sum;
        squared += 1;
    }
    sum
}

/// Φ(x), the share of a normal distribution below `x`: 1/2 + φ(x) · (x + x³/3 + x⁵/(3·5) + …).
const fn normal_below(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (x, x, 3);
    while k < 400 {
        term = term * x * x / k as f64;
        sum += term;
        k += 2;
    }
    0.5 + sum * exp(-0.5 * x * x) * 0.398_942_280_401_432_7
}
