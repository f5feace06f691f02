// Products of small matrices of bfloat16 by the instructions that Intel's servers have for them since 2023 (AMX; Intel's Software
// Developer's Manual, volume 1, chapter 18): 16 x 32 times 32 x 16 in one, added to 16 x 16 floats.
//
// A matrix on the left lies in memory row by row, 32 values each. One on the right lies in pairs of rows: of the 16 pairs each
// has its 16 columns, of a column first the upper row's value, then the lower's.
#pragma once

#include <cstdint>

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__AVX512BW__) && defined(__linux__)
#define GOSHAWK_MATRIX_TILES 1
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace goshawk::tiles {

/** Rows and columns of the sums, and of what they are sums. */
constexpr int64_t kSide = 16, kDepth = 32;
/** Values of a matrix of bfloat16. */
constexpr int64_t kValues = kSide * kDepth;
/** Sides of a square of 2 x 2 sums, for which each matrix is read once for two products. */
constexpr int64_t kSquare = 2 * kSide;

using Half = uint16_t;

#if defined(GOSHAWK_MATRIX_TILES)

/** Whether the system lets this process use them. */
inline bool allowed() {
  static const bool granted = [] {
    constexpr int kRequest = 0x1023, kTileData = 18;
    return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  }();
  return granted;
}

/** While it is there this thread has eight of them, of full size. */
class Registers {
 public:
  Registers() {
    struct alignas(64) Shapes {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static const Shapes shapes;
    __asm__ __volatile__("" : : "r"(&shapes) : "memory");
    _tile_loadconfig(&shapes);
  }
  ~Registers() {
    _tile_release();
  }
  Registers(const Registers&) = delete;
  Registers& operator=(const Registers&) = delete;
};

/** The compiler does not know that the instructions below read what was written before. */
[[gnu::always_inline]] inline void written() {
  __asm__ __volatile__("" : : : "memory");
}

// The 2 x 2 sums are registers 0 to 3, row by row.

[[gnu::always_inline]] inline void clear_square() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

/** `step`: floats from row to row. */
[[gnu::always_inline]] inline void load_square(const float* from, int64_t step) {
  _tile_loadd(0, from, step * 4);
  _tile_loadd(1, from + kSide, step * 4);
  _tile_loadd(2, from + kSide * step, step * 4);
  _tile_loadd(3, from + kSide * step + kSide, step * 4);
}

[[gnu::always_inline]] inline void store_square(float* into, int64_t step) {
  _tile_stored(0, into, step * 4);
  _tile_stored(1, into + kSide, step * 4);
  _tile_stored(2, into + kSide * step, step * 4);
  _tile_stored(3, into + kSide * step + kSide, step * 4);
}

/**
 * Adds 32 (or 16, of which the upper sums are) rows, in two matrices, times 32 columns, in two others.
 * @param step values from row to row on the left
 */
template <bool kUpperAlone>
[[gnu::always_inline]] inline void add_square(
    const Half* upper, int64_t step, const Half* lower, const Half* right, const Half* beside) {
  _tile_loadd(6, right, 64);
  _tile_loadd(4, upper, step * 2);
  _tile_loadd(7, beside, 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  if constexpr (!kUpperAlone) {
    _tile_loadd(5, lower, step * 2);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

/** Rows become columns, of 16 x 16 words. */
[[gnu::always_inline]] inline void transpose(__m512i (&rows)[16]) {
  // With a mask: the headers' plain forms make some compilers warn of their own variables.
  constexpr __mmask16 kWords = 0xffff;
  constexpr __mmask8 kPairs = 0xff;
  __m512i a[16], b[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_maskz_unpacklo_epi32(kWords, rows[i], rows[i + 1]);
    a[i + 1] = _mm512_maskz_unpackhi_epi32(kWords, rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_maskz_unpacklo_epi64(kPairs, a[i], a[i + 2]);
    b[i + 1] = _mm512_maskz_unpackhi_epi64(kPairs, a[i], a[i + 2]);
    b[i + 2] = _mm512_maskz_unpacklo_epi64(kPairs, a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_maskz_unpackhi_epi64(kPairs, a[i + 1], a[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    a[i] = _mm512_maskz_shuffle_i32x4(kWords, b[i], b[i + 4], 0x88);
    a[i + 4] = _mm512_maskz_shuffle_i32x4(kWords, b[i], b[i + 4], 0xdd);
    a[i + 8] = _mm512_maskz_shuffle_i32x4(kWords, b[i + 8], b[i + 12], 0x88);
    a[i + 12] = _mm512_maskz_shuffle_i32x4(kWords, b[i + 8], b[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_maskz_shuffle_i32x4(kWords, a[i], a[i + 8], 0x88);
    rows[i + 4] = _mm512_maskz_shuffle_i32x4(kWords, a[i + 4], a[i + 12], 0x88);
    rows[i + 8] = _mm512_maskz_shuffle_i32x4(kWords, a[i], a[i + 8], 0xdd);
    rows[i + 12] = _mm512_maskz_shuffle_i32x4(kWords, a[i + 4], a[i + 12], 0xdd);
  }
}

/** Of two rows of 16 values each, in pairs. */
[[gnu::always_inline]] inline __m512i paired(__m256i upper, __m256i lower) {
  constexpr __mmask16 kWords = 0xffff;
  return _mm512_or_si512(
      _mm512_maskz_cvtepu16_epi32(kWords, upper),
      _mm512_maskz_slli_epi32(kWords, _mm512_maskz_cvtepu16_epi32(kWords, lower), 16));
}

[[gnu::always_inline]] inline __m512 widened(__m256i halves) {
  return _mm512_castsi512_ps(paired(_mm256_setzero_si256(), halves));
}

/** The lanes below `count`. */
inline uint32_t lanes_below(int64_t count, int64_t most) {
  return static_cast<uint32_t>((uint64_t{1} << (count < 0 ? 0 : count > most ? most : count)) - 1);
}

#else

inline bool allowed() {
  return false;
}

#endif

} // namespace goshawk::tiles
