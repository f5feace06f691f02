// Four values at once in the compiler's own vectors, the same on every processor: three channels of a pixel and one value that is
// not used.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__SSE4_1__)
#include <immintrin.h>
#endif

namespace goshawk::pixels {

typedef int32_t Int4 __attribute__((vector_size(16)));
typedef float Float4 __attribute__((vector_size(16)));
typedef double Double4 __attribute__((vector_size(32)));

// A pixel and the byte behind it, which has to be readable.
inline Int4 load4(const uint8_t* from) {
  uint32_t word;
  std::memcpy(&word, from, 4);
#if defined(__SSE4_1__)
  return (Int4)_mm_cvtepu8_epi32(_mm_cvtsi32_si128(static_cast<int>(word)));
#else
  return Int4{from[0], from[1], from[2], from[3]};
#endif
}

// Writes the byte behind the pixel too. Values are 0..255.
inline void store4(uint8_t* to, Int4 values) {
#if defined(__SSE4_1__)
  const __m128i places = _mm_set_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 12, 8, 4, 0);
  const uint32_t word = static_cast<uint32_t>(_mm_cvtsi128_si32(_mm_shuffle_epi8((__m128i)values, places)));
  std::memcpy(to, &word, 4);
#else
  for (int c = 0; c < 4; c++) to[c] = static_cast<uint8_t>(values[c]);
#endif
}

inline void store3(uint8_t* to, Int4 values) {
  for (int c = 0; c < 3; c++) to[c] = static_cast<uint8_t>(values[c]);
}

inline Int4 all(int32_t value) { return Int4{value, value, value, value}; }
inline Double4 all(double value) { return Double4{value, value, value, value}; }
inline Double4 doubles(Int4 values) { return __builtin_convertvector(values, Double4); }
inline Float4 floats(Double4 values) { return __builtin_convertvector(values, Float4); }

// Three bytes as four values, where nothing may be read behind them.
inline Int4 load3(const uint8_t* from) { return Int4{from[0], from[1], from[2], 0}; }

}  // namespace goshawk::pixels
