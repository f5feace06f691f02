// Blurs with small kernels. Of the Gaussian and the box rows first, then columns, rounded once at the end.
#include <algorithm>
#include <vector>

#include "picture.h"

namespace goshawk::pixels {

namespace {

// The place that stands for one up to a few beyond the border: 2 1 | 0 1 2 ...
int64_t reflectedPlace(int64_t at, int64_t length) {
  if (length == 1) return 0;
  const int64_t period = 2 * (length - 1);
  const int64_t place = ((at % period) + period) % period;
  return place < length ? place : period - place;
}

// The sum of products, times kFactor and shifted down, is rounded to the nearest mean.
template <int Side, int W0, int W1, int W2, int Factor, int Shift>
void blurRowsThenColumns(const Picture& from, uint8_t* into) {
  constexpr int kReach = Side / 2;
  constexpr int kWeights[5] = {Side == 3 ? W1 : W0, Side == 3 ? W2 : W1, Side == 3 ? W1 : W2, W1, W0};
  const int64_t stride = from.stride();
  std::vector<uint16_t> rows(stride * Side);
  std::vector<int64_t> kept(Side, -1);
  std::vector<uint8_t> padded(stride + kReach * 6);
  const auto filtered = [&](int64_t y) -> const uint16_t* {
    uint16_t* const row = rows.data() + (y % Side) * stride;
    if (kept[y % Side] == y) return row;
    kept[y % Side] = y;
    const uint8_t* const source = from.data + y * stride;
    std::copy(source, source + stride, padded.data() + kReach * 3);
    for (int64_t x = 0; x < kReach; x++)
      for (int c = 0; c < 3; c++) {
        padded[x * 3 + c] = source[reflectedPlace(x - kReach, from.width) * 3 + c];
        padded[(kReach + from.width + x) * 3 + c] = source[reflectedPlace(from.width + x, from.width) * 3 + c];
      }
    const uint8_t* const p = padded.data();
    for (int64_t i = 0; i < stride; i++) {
      int sum = 0;
      for (int k = 0; k < Side; k++) sum += p[i + k * 3] * kWeights[k];
      row[i] = static_cast<uint16_t>(sum);
    }
    return row;
  };
  for (int64_t y = 0; y < from.height; y++) {
    const uint16_t* lines[Side];
    for (int k = 0; k < Side; k++) lines[k] = filtered(reflectedPlace(y + k - kReach, from.height));
    uint8_t* const to = into + y * stride;
    for (int64_t i = 0; i < stride; i++) {
      int sum = 0;
      for (int k = 0; k < Side; k++) sum += lines[k][i] * kWeights[k];
      to[i] = static_cast<uint8_t>((sum * Factor + (1 << (Shift - 1))) >> Shift);
    }
  }
}

// As many bytes as a vector register holds on most processors.
typedef uint8_t Bytes __attribute__((vector_size(32)));

inline void order(Bytes& low, Bytes& high) {
  const Bytes least = low < high ? low : high;
  high = low < high ? high : low;
  low = least;
}

// The median of Count values by forgetting: of Count / 2 + 2 values neither the least nor the greatest can be the median, so both
// make room for one that has not been looked at.
template <int Count>
inline Bytes medianOf(const Bytes (&values)[Count]) {
  constexpr int kHeld = Count / 2 + 2;
  Bytes held[kHeld];
  for (int i = 0; i < kHeld; i++) held[i] = values[i];
#pragma GCC unroll 32
  for (int step = 0; step + kHeld <= Count; step++) {
    const int last = kHeld - 1 - step;
#pragma GCC unroll 32
    for (int i = 0; i < kHeld / 2 + 1; i++)
      if (i < last - i) order(held[i], held[last - i]);
#pragma GCC unroll 32
    for (int i = 1; i < kHeld; i++)
      if (i <= last / 2) order(held[0], held[i]);
#pragma GCC unroll 32
    for (int i = 0; i < kHeld - 1; i++)
      if (i >= last - last / 2 && i < last) order(held[i], held[last]);
    // The least is at 0, the greatest at last: what follows takes the place of the least.
    if (step + kHeld < Count) held[0] = values[kHeld + step];
  }
  // Three were left, of which the least and the greatest are out.
  return held[1];
}

template <int Side>
void blurByMedian(const Picture& from, uint8_t* into) {
  constexpr int kReach = Side / 2;
  constexpr int64_t kBytes = sizeof(Bytes);
  const int64_t paddedStride = (from.width + 2 * kReach) * 3;
  const int64_t stride = from.stride();
  // A vector more than is there, of which nothing is kept.
  std::vector<uint8_t> padded(paddedStride * (from.height + 2 * kReach) + kBytes);
  for (int64_t y = 0; y < from.height + 2 * kReach; y++) {
    const uint8_t* const source = from.data + std::clamp<int64_t>(y - kReach, 0, from.height - 1) * stride;
    uint8_t* const to = padded.data() + y * paddedStride;
    std::copy(source, source + stride, to + kReach * 3);
    for (int64_t x = 0; x < kReach; x++) {
      std::copy(source, source + 3, to + x * 3);
      std::copy(source + stride - 3, source + stride, to + (from.width + kReach + x) * 3);
    }
  }
  for (int64_t y = 0; y < from.height; y++) {
    uint8_t* const row = into + y * stride;
    for (int64_t i = 0; i < stride; i += kBytes) {
      Bytes values[Side * Side];
      for (int k = 0; k < Side * Side; k++)
        __builtin_memcpy(&values[k], padded.data() + (y + k / Side) * paddedStride + i + (k % Side) * 3, kBytes);
      const Bytes median = medianOf(values);
      __builtin_memcpy(row + i, &median, static_cast<size_t>(std::min(kBytes, stride - i)));
    }
  }
}

}  // namespace

void blurGaussian(const Picture& from, int side, uint8_t* into) {
  if (side == 3)
    blurRowsThenColumns<3, 0, 1, 2, 1, 4>(from, into);
  else
    blurRowsThenColumns<5, 1, 4, 6, 1, 8>(from, into);
}

void blurBox(const Picture& from, int side, uint8_t* into) {
  if (side == 3)
    blurRowsThenColumns<3, 0, 1, 1, 7282, 16>(from, into);
  else
    blurRowsThenColumns<5, 1, 1, 1, 5243, 17>(from, into);
}

void blurMedian(const Picture& from, int side, uint8_t* into) {
  if (side == 3)
    blurByMedian<3>(from, into);
  else
    blurByMedian<5>(from, into);
}

void mirrorRows(uint8_t* data, int64_t width, int64_t height) {
  for (int64_t y = 0; y < height; y++) {
    uint8_t* left = data + y * width * 3;
    for (uint8_t* right = left + (width - 1) * 3; left < right; left += 3, right -= 3)
      for (int c = 0; c < 3; c++) std::swap(left[c], right[c]);
  }
}

}  // namespace goshawk::pixels
