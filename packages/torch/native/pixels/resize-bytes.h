// The two ways of resizing whose results are bytes.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "lanes.h"
#include "picture.h"

namespace goshawk::pixels {

// In 1/2048, halves to even.
inline int32_t fixedWeight(double weight) {
  const double scaled = weight * 2048;
  const double whole = std::floor(scaled);
  const int32_t floor = static_cast<int32_t>(whole);
  return scaled - whole == 0.5 ? floor + (floor & 1) : static_cast<int32_t>(roundUp(scaled));
}

struct OpenCvColumns {
  std::vector<int32_t> left, right, leftWeight, rightWeight;

  OpenCvColumns(int64_t from, int64_t to, const Window& window) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    for (int64_t x = 0; x < window.width; x++) {
      const float position = static_cast<float>((window.x + x + 0.5) * scale - 0.5);
      int64_t start = static_cast<int64_t>(std::floor(position));
      float fraction = position - static_cast<float>(start);
      if (start < 0) start = 0, fraction = 0;
      if (start >= from - 1) start = from - 1, fraction = 0;
      left.push_back(static_cast<int32_t>(start * 3));
      right.push_back(static_cast<int32_t>(std::min(start + 1, from - 1) * 3));
      leftWeight.push_back(fixedWeight(1 - fraction));
      rightWeight.push_back(fixedWeight(fraction));
    }
  }
};

// A row after the pass along it, in 1/128 of a level: the pass across drops the other four bits.
inline void filterOpenCv(const uint8_t* row, const uint8_t* end, const OpenCvColumns& columns, int16_t* into) {
  const int64_t width = static_cast<int64_t>(columns.left.size());
  for (int64_t x = 0; x < width; x++) {
    const uint8_t* l = row + columns.left[x];
    const uint8_t* r = row + columns.right[x];
    const int32_t a = columns.leftWeight[x];
    const int32_t b = columns.rightWeight[x];
    int16_t* to = into + x * 3;
    if (r + 4 <= end) {
      const Int4 sums = (load4(l) * all(a) + load4(r) * all(b)) >> 4;
      typedef int16_t Short4 __attribute__((vector_size(8)));
      const Short4 shorts = __builtin_convertvector(sums, Short4);
      std::memcpy(to, &shorts, 8);
    } else {
      for (int c = 0; c < 3; c++) to[c] = static_cast<int16_t>((l[c] * a + r[c] * b) >> 4);
    }
  }
}

template <typename Emit>
void resizeOpenCv(const Picture& from, int64_t width, int64_t height, const Window& window, const Emit& emit) {
  const int64_t stride = window.width * 3;
  if (width == from.width && height == from.height) {
    for (int64_t y = 0; y < window.height; y++)
      emit(y, from.data + ((window.y + y) * width + window.x) * 3);
    return;
  }
  const OpenCvColumns columns(from.width, width, window);
  // One value more than a row has is written.
  std::vector<int16_t> aboveRow(stride + 1), belowRow(stride + 1);
  std::vector<uint8_t> row(stride);
  int64_t aboveY = -1, belowY = -1;
  const int64_t last = from.height - 1;
  const double scale = static_cast<double>(from.height) / static_cast<double>(height);
  const uint8_t* const end = from.data + from.bytes();
  for (int64_t y = 0; y < window.height; y++) {
    const float position = static_cast<float>((window.y + y + 0.5) * scale - 0.5);
    const int64_t start = static_cast<int64_t>(std::floor(position));
    const float fraction = position - static_cast<float>(start);
    const int64_t y0 = std::clamp<int64_t>(start, 0, last);
    const int64_t y1 = std::clamp<int64_t>(start + 1, 0, last);
    if (aboveY != y0) {
      if (belowY == y0) {
        std::swap(aboveRow, belowRow);
        std::swap(aboveY, belowY);
      } else {
        filterOpenCv(from.data + y0 * from.stride(), end, columns, aboveRow.data());
        aboveY = y0;
      }
    }
    if (belowY != y1) {
      filterOpenCv(from.data + y1 * from.stride(), end, columns, belowRow.data());
      belowY = y1;
    }
    const int16_t a = static_cast<int16_t>(fixedWeight(1 - fraction));
    const int16_t b = static_cast<int16_t>(fixedWeight(fraction));
    const int16_t* const above = aboveRow.data();
    const int16_t* const below = belowRow.data();
    uint8_t* const to = row.data();
    for (int64_t i = 0; i < stride; i++) {
      const int16_t upper = static_cast<int16_t>((a * above[i]) >> 16);
      const int16_t lower = static_cast<int16_t>((b * below[i]) >> 16);
      to[i] = static_cast<uint8_t>((upper + lower + 2) >> 2);
    }
    emit(y, to);
  }
}

constexpr int kPilBits = 22;

struct PilTable {
  std::vector<int32_t> start, count, weights;
  int64_t size;

  PilTable(int64_t from, int64_t to, int64_t offset, int64_t outputs) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    const double radius = std::max(scale, 1.0);
    size = static_cast<int64_t>(std::ceil(radius)) * 2 + 1;
    weights.resize(outputs * size);
    std::vector<double> exact(size);
    for (int64_t i = 0; i < outputs; i++) {
      const double centre = (offset + i + 0.5) * scale;
      const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - radius + 0.5));
      const int64_t end = std::min(from, static_cast<int64_t>(centre + radius + 0.5));
      double sum = 0;
      for (int64_t j = first; j < end; j++) {
        exact[j - first] = std::max(0.0, 1 - std::abs((j - centre + 0.5) * (1 / radius)));
        sum += exact[j - first];
      }
      for (int64_t k = 0; k < end - first; k++)
        weights[i * size + k] = static_cast<int32_t>((exact[k] / sum) * (1 << kPilBits) + 0.5);
      start.push_back(static_cast<int32_t>(first));
      count.push_back(static_cast<int32_t>(end - first));
    }
  }
};

inline Int4 pilLevels(Int4 sums) {
  const Int4 levels = sums >> kPilBits;
  return levels < 255 ? levels : all(255);
}

// Writes a byte more than the row has.
inline void filterPil(const uint8_t* row, const uint8_t* end, const PilTable& columns, uint8_t* into) {
  const int64_t width = static_cast<int64_t>(columns.start.size());
  for (int64_t x = 0; x < width; x++) {
    const uint8_t* p = row + columns.start[x] * 3;
    const int32_t* weights = columns.weights.data() + x * columns.size;
    const int32_t count = columns.count[x];
    Int4 sums = all(1 << (kPilBits - 1));
    int32_t k = 0;
    for (; k < count && p + 4 <= end; k++, p += 3) sums += load4(p) * all(weights[k]);
    for (; k < count; k++, p += 3) sums += load3(p) * all(weights[k]);
    store4(into + x * 3, pilLevels(sums));
  }
}

template <typename Emit>
void resizePil(const Picture& from, int64_t width, int64_t height, const Window& window, const Emit& emit) {
  const PilTable rows(from.height, height, window.y, window.height);
  const int64_t firstRow = rows.start.front();
  const int64_t rowCount = rows.start.back() + rows.count.back() - firstRow;
  const uint8_t* data = from.data + firstRow * from.stride();
  const int64_t stride = window.width * 3;
  std::vector<uint8_t> filtered;
  if (width != from.width || window.width != width) {
    const PilTable columns(from.width, width, window.x, window.width);
    filtered.resize(rowCount * stride + 1);
    for (int64_t y = 0; y < rowCount; y++)
      filterPil(data + y * from.stride(), from.data + from.bytes(), columns, filtered.data() + y * stride);
    data = filtered.data();
  }
  if (height == from.height) {
    for (int64_t y = 0; y < window.height; y++) emit(y, data + y * stride);
    return;
  }
  std::vector<int32_t> sums(stride);
  std::vector<uint8_t> row(stride);
  for (int64_t y = 0; y < window.height; y++) {
    const int32_t* weights = rows.weights.data() + y * rows.size;
    const uint8_t* first = data + (rows.start[y] - firstRow) * stride;
    int32_t* const sum = sums.data();
    const int32_t count = rows.count[y];
    const int32_t half = 1 << (kPilBits - 1);
    if (count == 1) {
      for (int64_t i = 0; i < stride; i++) sum[i] = half + first[i] * weights[0];
    } else {
      const uint8_t* const second = first + stride;
      for (int64_t i = 0; i < stride; i++) sum[i] = half + first[i] * weights[0] + second[i] * weights[1];
    }
    for (int32_t k = 2; k < count; k++) {
      const uint8_t* const line = first + k * stride;
      const int32_t weight = weights[k];
      for (int64_t i = 0; i < stride; i++) sum[i] += line[i] * weight;
    }
    uint8_t* const to = row.data();
    for (int64_t i = 0; i < stride; i++) to[i] = static_cast<uint8_t>(std::min(sum[i] >> kPilBits, 255));
    emit(y, to);
  }
}

}  // namespace goshawk::pixels
