// Statistics of tensors, one pass over the memory of each. It reads what belongs to the training and writes only into
// buffers that the caller made for it. No headers of PyTorch: the caller hands over addresses, so one build serves every
// version of PyTorch and of Python. No threads and no OpenMP: a second pool would compete with PyTorch's own.
#include <cmath>
#include <cstdint>
#include <cstring>

#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(FLIGHTCHECK_BASELINE)
#define ENTRY extern "C" __attribute__((visibility("default"), flatten, target_clones("default", "arch=x86-64-v3")))
#else
#define ENTRY extern "C" __attribute__((visibility("default"), flatten))
#endif

namespace {

typedef float Floats __attribute__((vector_size(32)));
typedef int32_t Ints __attribute__((vector_size(32)));
typedef uint32_t Words __attribute__((vector_size(32)));
typedef uint16_t Halves __attribute__((vector_size(16)));

constexpr int64_t LANES = 8;
constexpr int64_t BLOCK = 1024;  // elements summed in float32 before they are added up in float64
constexpr int UNROLL = 2;        // more would not fit into the registers
constexpr int64_t ABI = 2;
constexpr float SMALL = 1e-14f;  // the squares of smaller numbers leave the range of float32
constexpr float LARGE = 1e17f;   // and those of larger ones, 1024 times

enum Type : int64_t { FLOAT32 = 0, BFLOAT16 = 1, FLOAT16 = 2, FLOAT64 = 3 };

struct Sums {
    double sum = 0, squares = 0, zeros = 0, non_finite = 0;
    double largest = 0;
};

template <class To, class From>
INLINE To bits_of(From from) {
    static_assert(sizeof(To) == sizeof(From), "");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

// -- elements in eights ----------------------------------------------------------------------------------------------

template <int64_t T>
struct Element {
    static constexpr int64_t SIZE = T == FLOAT64 ? 8 : T == FLOAT32 ? 4 : 2;
};

INLINE Floats widened(Words half) {  // float16: the exponent has another bias; all ones stay all ones
    Words magnitude = (half & 0x7fffu) << 13;
    Words special = (Words)((half & 0x7c00u) == 0x7c00u) & 0x7f800000u;
    Floats value = bits_of<Floats>(magnitude) * 5.192296858534828e33f;  // 2^112
    return bits_of<Floats>(bits_of<Words>(value) | special | ((half & 0x8000u) << 16));
}

template <int64_t T>
INLINE Floats load(const char* at) {
    if constexpr (T == FLOAT32) {
        Floats v;
        std::memcpy(&v, at, sizeof v);
        return v;
    } else {
        Halves h;
        std::memcpy(&h, at, sizeof h);
        Words w = __builtin_convertvector(h, Words);
        return T == BFLOAT16 ? bits_of<Floats>(w << 16) : widened(w);
    }
}

// -- statistics of one block -----------------------------------------------------------------------------------------

struct Lanes {
    Floats sum = {}, squares = {};
    Ints largest = {}, zeros = {};
};

INLINE void add(Lanes& a, Floats x) {
    Ints magnitude = bits_of<Ints>(x) & 0x7fffffff;  // grows with the number; NaN lies above infinity
    Ints above = magnitude > a.largest;
    a.largest = (magnitude & above) | (a.largest & ~above);
    a.zeros -= magnitude == 0;
    a.sum += x;
    a.squares += x * x;
}

INLINE void fold(Sums& s, const Lanes* lanes, int count, int64_t padding, double& sum, double& squares,
                 float& largest) {
    int32_t most = 0;
    double zeros = 0;
    sum = squares = 0;
    for (int k = 0; k < count; k++)
        for (int i = 0; i < LANES; i++) {
            sum += lanes[k].sum[i];
            squares += lanes[k].squares[i];
            zeros += lanes[k].zeros[i];
            most = lanes[k].largest[i] > most ? lanes[k].largest[i] : most;
        }
    largest = bits_of<float>(most);
    s.zeros += zeros - padding;
    if (!(largest <= s.largest)) s.largest = s.largest != s.largest ? s.largest : largest;
}

INLINE bool out_of_range(float largest) {
    return std::isfinite(largest) && largest > 0 && (largest < SMALL || largest > LARGE);
}

// `get(i)` gives eight values from element i on, zeros past the end.
template <class Get>
INLINE void block(Sums& s, int64_t n, Get get) {
    Lanes lanes[UNROLL];
    int64_t i = 0;
    for (; i + UNROLL * LANES <= n; i += UNROLL * LANES)
        for (int k = 0; k < UNROLL; k++) add(lanes[k], get(i + k * LANES));
    int64_t end = i;
    for (; i < n; i += LANES, end += LANES) add(lanes[0], get(i));
    double sum, squares;
    float largest;
    fold(s, lanes, UNROLL, end - n, sum, squares, largest);
    if (!std::isfinite(largest))
        for (i = 0; i < n; i += LANES) {
            Ints bad = (bits_of<Ints>(get(i)) & 0x7fffffff) >= 0x7f800000;
            for (int k = 0; k < LANES; k++) s.non_finite -= bad[k];
        }
    if (out_of_range(largest)) {
        sum = squares = 0;
        for (i = 0; i < n; i += LANES) {
            Floats x = get(i);
            for (int k = 0; k < LANES; k++) {
                sum += x[k];
                squares += (double)x[k] * (double)x[k];
            }
        }
    }
    s.sum += sum;
    s.squares += squares;
}

template <int64_t T>
INLINE Floats eight(const char* base, int64_t i, int64_t n) {
    if (i + LANES <= n) return load<T>(base + i * Element<T>::SIZE);
    char padded[LANES * Element<T>::SIZE] = {};
    std::memcpy(padded, base + i * Element<T>::SIZE, (n - i) * Element<T>::SIZE);
    return load<T>(padded);
}

// -- whole tensors ---------------------------------------------------------------------------------------------------

template <int64_t T>
INLINE void tensor(Sums& s, const char* base, int64_t n) {
    for (int64_t start = 0; start < n; start += BLOCK) {
        const char* at = base + start * Element<T>::SIZE;
        int64_t left = n - start < BLOCK ? n - start : BLOCK;
        block(s, left, [&](int64_t i) { return eight<T>(at, i, left); });
    }
}

// The weight, and how far it is from `before`, which then becomes a copy of it: the block is in the cache by then.
template <int64_t T>
INLINE void weight(Sums& s, Sums& moved, const char* base, char* before, int64_t n, bool compare) {
    for (int64_t start = 0; start < n; start += BLOCK) {
        const char* at = base + start * Element<T>::SIZE;
        char* old = before + start * Element<T>::SIZE;
        int64_t left = n - start < BLOCK ? n - start : BLOCK;
        block(s, left, [&](int64_t i) { return eight<T>(at, i, left); });
        if (compare) block(moved, left, [&](int64_t i) { return eight<T>(at, i, left) - eight<T>(old, i, left); });
        std::memcpy(old, at, left * Element<T>::SIZE);
    }
}

INLINE void one(Sums& s, double x) {
    s.sum += x;
    s.squares += x * x;
    s.zeros += x == 0;
    s.non_finite += !std::isfinite(x);
    double magnitude = std::fabs(x);
    if (!(magnitude <= s.largest)) s.largest = s.largest != s.largest ? s.largest : magnitude;
}

INLINE void doubles(Sums& s, Sums& moved, const char* base, char* before, int64_t n, bool compare) {
    for (int64_t i = 0; i < n; i++) {
        double x, old;
        std::memcpy(&x, base + i * 8, 8);
        one(s, x);
        if (before == nullptr) continue;
        std::memcpy(&old, before + i * 8, 8);
        if (compare) one(moved, x - old);
        std::memcpy(before + i * 8, &x, 8);
    }
}

INLINE void any(Sums& s, Sums& moved, int64_t type, const char* base, char* before, int64_t n, bool compare) {
    if (type == FLOAT64) return doubles(s, moved, base, before, n, compare);
    if (before == nullptr) {
        if (type == FLOAT32) tensor<FLOAT32>(s, base, n);
        if (type == BFLOAT16) tensor<BFLOAT16>(s, base, n);
        if (type == FLOAT16) tensor<FLOAT16>(s, base, n);
    } else {
        if (type == FLOAT32) weight<FLOAT32>(s, moved, base, before, n, compare);
        if (type == BFLOAT16) weight<BFLOAT16>(s, moved, base, before, n, compare);
        if (type == FLOAT16) weight<FLOAT16>(s, moved, base, before, n, compare);
    }
}

INLINE void put(double* out, const Sums& s) {
    out[0] = s.sum;
    out[1] = s.squares;
    out[2] = s.largest;
    out[3] = s.zeros;
    out[4] = s.non_finite;
}

template <int64_t T>
INLINE void units_last(const char* x, int64_t rows, int64_t units, float* highest) {
    for (int64_t r = 0; r < rows; r++) {
        const char* row = x + r * units * Element<T>::SIZE;
        for (int64_t i = 0; i < units; i += LANES) {
            Floats v = eight<T>(row, i, units), h;
            std::memcpy(&h, highest + i, sizeof h);
            Ints above = v > h;
            h = bits_of<Floats>((bits_of<Ints>(v) & above) | (bits_of<Ints>(h) & ~above));
            std::memcpy(highest + i, &h, sizeof h);
        }
    }
}

template <int64_t T>
INLINE void units_first(const char* x, int64_t rows, int64_t units, int64_t inner, float* highest) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t u = 0; u < units; u++) {
            if (highest[u] > 0) continue;
            const char* at = x + (r * units + u) * inner * Element<T>::SIZE;
            Ints fired = {};
            for (int64_t i = 0; i < inner; i += LANES) fired |= eight<T>(at, i, inner) > 0.0f;
            for (int k = 0; k < LANES; k++)
                if (fired[k]) highest[u] = 1;
        }
}

template <int64_t T>
INLINE float element(const char* x, int64_t i) {
    if constexpr (T == FLOAT32) {
        float v;
        std::memcpy(&v, x + i * 4, 4);
        return v;
    } else {
        uint16_t h;
        std::memcpy(&h, x + i * 2, 2);
        Words w = {h};
        return T == BFLOAT16 ? bits_of<float>((uint32_t)h << 16) : widened(w)[0];
    }
}

// Mean over columns (every `stride`th) of the standard deviation over the rows; sums are shifted by the first row.
template <int64_t T>
INLINE double spread(const char* x, int64_t rows, int64_t width, int64_t stride, float* room) {
    int64_t columns = (width + stride - 1) / stride;
    float *first = room, *sums = room + columns, *squares = room + 2 * columns;
    for (int64_t j = 0; j < columns; j++) {
        first[j] = element<T>(x, j * stride);
        sums[j] = squares[j] = 0;
    }
    for (int64_t r = 1; r < rows; r++)
        for (int64_t j = 0; j < columns; j++) {
            float d = element<T>(x, r * width + j * stride) - first[j];
            sums[j] += d;
            squares[j] += d * d;
        }
    double total = 0;
    for (int64_t j = 0; j < columns; j++) {
        double variance = ((double)squares[j] - (double)sums[j] * sums[j] / rows) / (rows - 1);
        total += variance <= 0 ? 0 : std::sqrt(variance);
    }
    return total / columns;
}

}  // namespace

ENTRY int64_t flightcheck_abi() { return ABI; }

// One call per step. `table` has eight numbers for each of n parameters: address, elements and type of the gradient;
// address, elements and type of the weight; address of the copy of the weight; 1 to compare with that copy.
// An address of 0: there is none. `out` gets fifteen numbers for each: sum, sum of squares, largest magnitude, zeros and
// non-finite ones, of gradient, weight and update. `norms` gets three rows of n norms, -1 where there is none. `tallies`
// has four rows of n counts: gradients seen, gradients not zero, updates measured, updates not zero. `totals` gets how
// many gradients are not zero, and the sum of their squares.
ENTRY void flightcheck_step(int64_t n, const int64_t* table, double* out, float* norms, int64_t* tallies, double* totals) {
    totals[0] = totals[1] = 0;
    for (int64_t k = 0; k < n; k++, table += 8, out += 15) {
        Sums gradient, weight, update;
        bool compared = table[3] && table[6] && table[7];
        if (table[0]) any(gradient, update, table[2], (const char*)table[0], nullptr, table[1], false);
        if (table[3]) any(weight, update, table[5], (const char*)table[3], (char*)table[6], table[4], compared);
        put(out, gradient);
        put(out + 5, weight);
        put(out + 10, update);
        norms[k] = table[0] ? (float)std::sqrt(gradient.squares) : -1.0f;
        norms[n + k] = table[3] ? (float)std::sqrt(weight.squares) : -1.0f;
        norms[2 * n + k] = compared ? (float)std::sqrt(update.squares) : -1.0f;
        bool moves = gradient.squares != 0;
        tallies[k] += table[0] != 0;
        tallies[n + k] += table[0] && moves;
        tallies[2 * n + k] += compared;
        tallies[3 * n + k] += compared && update.squares != 0;
        if (table[0] && moves) {
            totals[0] += 1;
            totals[1] += gradient.squares;
        }
    }
}

// The output of a module, contiguous: `rows` examples of `width` elements. `out` gets the five statistics, then the mean
// over every `stride`th column of the standard deviation over the first `few` rows (0 of them: not asked).
// `highest` (where units > 0) is raised above 0 for each unit that fired: units lie in the last dimension (inner 0), or
// hold `inner` elements each. `room` holds three floats for each column.
ENTRY void flightcheck_output(int64_t type, const char* x, int64_t rows, int64_t width, int64_t few, int64_t stride,
                              int64_t units, int64_t inner, float* highest, float* room, double* out) {
    Sums s, none;
    any(s, none, type, x, nullptr, rows * width, false);
    put(out, s);
#define OF(T)                                                              \
    if (type == T) {                                                       \
        out[5] = few > 1 ? spread<T>(x, few, width, stride, room) : 0;     \
        if (units && inner) units_first<T>(x, rows, units, inner, highest); \
        if (units && !inner) units_last<T>(x, rows * width / units, units, highest); \
    }
    OF(FLOAT32)
    OF(BFLOAT16)
    OF(FLOAT16)
#undef OF
}
