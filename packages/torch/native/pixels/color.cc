// Brightness, contrast and saturation, noise, and two pictures in one.
#include <algorithm>
#include <vector>

#include "picture.h"

namespace goshawk::pixels {

namespace {

uint8_t boundedLevel(double value) {
  return static_cast<uint8_t>(static_cast<int32_t>(std::min(std::max(value, 0.0), 255.0)));
}

int32_t greyOf(const uint8_t* pixel) {
  return static_cast<int32_t>(0.2989 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]);
}

void throughTable(const Picture& from, double factor, double other, uint8_t* into) {
  uint8_t table[256];
  for (int level = 0; level < 256; level++) table[level] = boundedLevel(level * factor + other);
  for (int64_t i = 0; i < from.bytes(); i++) into[i] = table[from.data[i]];
}

}  // namespace

void changeBrightness(const Picture& from, double factor, uint8_t* into) { throughTable(from, factor, 0, into); }

void changeContrast(const Picture& from, double factor, uint8_t* into) {
  int64_t sum = 0;
  for (int64_t o = 0; o < from.bytes(); o += 3) sum += greyOf(from.data + o);
  const double mean = static_cast<double>(sum) / static_cast<double>(from.width * from.height);
  throughTable(from, factor, mean * (1 - factor), into);
}

void changeSaturation(const Picture& from, double factor, uint8_t* into) {
  for (int64_t o = 0; o < from.bytes(); o += 3) {
    const double other = greyOf(from.data + o) * (1 - factor);
    for (int c = 0; c < 3; c++) into[o + c] = boundedLevel(from.data[o + c] * factor + other);
  }
}

void addNoise(const Picture& from, double sigma, int32_t seed, const float* quantiles, uint8_t* into) {
  std::vector<int16_t> table(65536);
  for (int i = 0; i < 65536; i++) table[i] = static_cast<int16_t>(static_cast<int64_t>(roundUp(quantiles[i] * sigma)));
  const auto sum = [&](int64_t i, uint32_t place) {
    return static_cast<uint8_t>(std::clamp(from.data[i] + table[place], 0, 255));
  };
  // A xorshift generator never leaves 0.
  uint32_t state = seed == 0 ? 1 : static_cast<uint32_t>(seed);
  const int64_t bytes = from.bytes();
  const int64_t pairs = bytes & ~int64_t{1};
  for (int64_t i = 0; i < pairs; i += 2) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    into[i] = sum(i, state >> 16);
    into[i + 1] = sum(i + 1, state & 0xffff);
  }
  // JavaScript's product of a signed number, whose bits above 32 are dropped.
  if (pairs < bytes) into[pairs] = sum(pairs, (state * 31u) >> 16);
}

void blend(const uint8_t* first, const uint8_t* second, int64_t bytes, double share, uint8_t* into) {
  const int32_t weight = static_cast<int32_t>(roundUp(share * 65536));
  const int32_t rest = 65536 - weight;
  for (int64_t i = 0; i < bytes; i++)
    into[i] = static_cast<uint8_t>((first[i] * weight + second[i] * rest + 32768) >> 16);
}

}  // namespace goshawk::pixels
