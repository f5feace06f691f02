// Bilinear resizing in floats with a network's normalisation in the same pass, and the normalisation of bytes alone.
#include <algorithm>
#include <vector>

#include "lanes.h"
#include "picture.h"

namespace goshawk::pixels {

namespace {

struct TorchAxis {
  std::vector<int32_t> first, second;
  std::vector<float> fraction;

  TorchAxis(int64_t from, int64_t start, int64_t count, double step) {
    const double scale = static_cast<float>(step);
    for (int64_t i = 0; i < count; i++) {
      const double position = std::max<double>(0, static_cast<float>(scale * (start + i + 0.5) - 0.5));
      const int64_t place = std::min(static_cast<int64_t>(position), from - 1);
      first.push_back(static_cast<int32_t>(place));
      second.push_back(static_cast<int32_t>(std::min(place + 1, from - 1)));
      fraction.push_back(static_cast<float>(std::min(1.0, position - place)));
    }
  }
};

// Writes a value more than the row has.
void filterTorch(const uint8_t* row, const uint8_t* end, const TorchAxis& columns, const Normalisation& values,
                 float* into) {
  // In the picture's order of channels, to which the network's may be the reverse: turned once, behind all else.
  const int64_t first = values.reversed ? 2 : 0, last = 2 - first;
  const Double4 gain{values.gain[first], values.gain[1], values.gain[last], 0};
  const Double4 bias{values.bias[first], values.bias[1], values.bias[last], 0};
  const int64_t width = static_cast<int64_t>(columns.first.size());
  for (int64_t x = 0; x < width; x++) {
    const uint8_t* l = row + columns.first[x] * 3;
    const uint8_t* r = row + columns.second[x] * 3;
    const double f = columns.fraction[x];
    const bool inside = r + 4 <= end;
    const Int4 left = inside ? load4(l) : load3(l);
    const Int4 right = inside ? load4(r) : load3(r);
    const Double4 levels = doubles(left) * all(1 - f) + doubles(right) * all(f);
    const Float4 found = floats(levels * gain + bias);
    const Float4 result = values.reversed ? Float4{found[2], found[1], found[0], found[3]} : found;
    std::memcpy(into + x * 3, &result, sizeof(result));
  }
}

}  // namespace

void resizeTorch(const Picture& from, double stepX, double stepY, const Window& window, const Normalisation& values,
                 const FloatRows& into) {
  const TorchAxis columns(from.width, window.x, window.width, stepX);
  const TorchAxis rows(from.height, window.y, window.height, stepY);
  const int64_t stride = window.width * 3;
  std::vector<float> aboveRow(stride + 1), belowRow(stride + 1);
  int64_t aboveY = -1, belowY = -1;
  const uint8_t* const end = from.data + from.bytes();
  for (int64_t y = 0; y < window.height; y++) {
    const int64_t y0 = rows.first[y];
    const int64_t y1 = rows.second[y];
    if (aboveY != y0) {
      if (belowY == y0) {
        std::swap(aboveRow, belowRow);
        std::swap(aboveY, belowY);
      } else {
        filterTorch(from.data + y0 * from.stride(), end, columns, values, aboveRow.data());
        aboveY = y0;
      }
    }
    if (belowY != y1) {
      filterTorch(from.data + y1 * from.stride(), end, columns, values, belowRow.data());
      belowY = y1;
    }
    const double f = rows.fraction[y];
    const double e = 1 - f;
    const float* const above = aboveRow.data();
    const float* const below = belowRow.data();
    float* const to = into.data + y * into.stride;
    for (int64_t i = 0; i < stride; i++) to[i] = static_cast<float>(above[i] * e + below[i] * f);
  }
}

void normaliseRow(const uint8_t* row, int64_t pixels, const Normalisation& values, float* into) {
  // Pixels at once, so that whole vectors hold whole pixels.
  constexpr int kBlock = 24;
  double gain[kBlock], bias[kBlock];
  for (int i = 0; i < kBlock; i++) gain[i] = values.gain[i % 3], bias[i] = values.bias[i % 3];
  const int64_t count = pixels * 3;
  uint8_t turned[kBlock];
  int64_t done = 0;
  for (; done + kBlock <= count; done += kBlock) {
    const uint8_t* from = row + done;
    if (values.reversed) {
      for (int i = 0; i < kBlock; i++) turned[i] = from[i + 2 - i % 3 * 2];
      from = turned;
    }
    for (int i = 0; i < kBlock; i++) into[done + i] = static_cast<float>(from[i] * gain[i] + bias[i]);
  }
  for (; done < count; done += 3)
    for (int c = 0; c < 3; c++)
      into[done + c] = static_cast<float>(row[done + (values.reversed ? 2 - c : c)] * values.gain[c] + values.bias[c]);
}

}  // namespace goshawk::pixels
