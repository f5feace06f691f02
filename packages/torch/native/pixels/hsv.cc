// Hue, saturation and value of bytes, in OpenCV's units: hue in 2 degrees (0..179), the others 0..255.
#include <algorithm>

#include "picture.h"

namespace goshawk::pixels {

namespace {

constexpr int32_t kHues = 180;
constexpr double kPer255 = 1.0 / 255;
constexpr int kHsvShift = 12;
constexpr int32_t kHsvHalf = 1 << (kHsvShift - 1);
// Pixels whose values lie in the first cache between the passes, each of which fills whole vectors.
constexpr int kHsvBlock = 256;

struct HsvTables {
  int32_t perSpread[256], perValue[256];
  int32_t hues[256], saturations[256], values[256];
  int32_t sectors[256];
  double parts[256];

  HsvTables(double hue, double saturation, double value) {
    for (int32_t level = 0; level < 256; level++) {
      perSpread[level] = level == 0 ? 0 : static_cast<int32_t>(roundUp(static_cast<double>(kHues << kHsvShift) / (6 * level)));
      perValue[level] = level == 0 ? 0 : static_cast<int32_t>(roundUp(static_cast<double>(255 << kHsvShift) / level));
      // As JavaScript puts numbers into bytes.
      hues[level] = static_cast<uint8_t>(static_cast<int64_t>(std::fmod(std::floor(level * hue), kHues)));
      saturations[level] = static_cast<uint8_t>(static_cast<int64_t>(std::min(255.0, std::floor(level * saturation))));
      values[level] = static_cast<uint8_t>(static_cast<int64_t>(std::min(255.0, std::floor(level * value))));
      sectors[level] = (level / 30) % 6;
      parts[level] = (level % 30) / 30.0;
    }
  }
};

struct HsvBlock {
  int32_t red[kHsvBlock], green[kHsvBlock], blue[kHsvBlock];
  int32_t hue[kHsvBlock], saturation[kHsvBlock], value[kHsvBlock];
  int32_t low[kHsvBlock], falling[kHsvBlock], rising[kHsvBlock];
};

void scaleBlock(const HsvTables& tables, HsvBlock& block, int count) {
  for (int i = 0; i < count; i++) {
    const int32_t r = block.red[i], g = block.green[i], b = block.blue[i];
    const int32_t most = std::max(r, std::max(g, b));
    const int32_t spread = most - std::min(r, std::min(g, b));
    const int32_t ofGreen = b - r + 2 * spread, ofBlue = r - g + 4 * spread, ofRed = g - b;
    const int32_t sixths = most == r ? ofRed : most == g ? ofGreen : ofBlue;
    const int32_t hue = (sixths * tables.perSpread[spread] + kHsvHalf) >> kHsvShift;
    block.hue[i] = tables.hues[hue < 0 ? hue + kHues : hue];
    block.saturation[i] = tables.saturations[(spread * tables.perValue[most] + kHsvHalf) >> kHsvShift];
    block.value[i] = tables.values[most];
  }
  for (int i = 0; i < count; i++) {
    const int32_t value = block.value[i];
    const double part = tables.parts[block.hue[i]];
    const double full = value * 255;
    const double product = value * block.saturation[i];
    block.low[i] = static_cast<int32_t>(static_cast<double>(value * (255 - block.saturation[i])) * kPer255 + 0.5);
    block.falling[i] = static_cast<int32_t>((full - product * part) * kPer255 + 0.5);
    block.rising[i] = static_cast<int32_t>((full - product * (1 - part)) * kPer255 + 0.5);
  }
  for (int i = 0; i < count; i++) {
    const int32_t sector = tables.sectors[block.hue[i]];
    const int32_t value = block.value[i], low = block.low[i], falling = block.falling[i], rising = block.rising[i];
    block.red[i] = sector == 0 || sector == 5 ? value : sector == 1 ? falling : sector == 4 ? rising : low;
    block.green[i] = sector == 1 || sector == 2 ? value : sector == 0 ? rising : sector == 3 ? falling : low;
    block.blue[i] = sector == 3 || sector == 4 ? value : sector == 2 ? rising : sector == 5 ? falling : low;
  }
}

}  // namespace

void scaleHsv(const Picture& from, double hue, double saturation, double value, uint8_t* into) {
  const HsvTables tables(hue, saturation, value);
  const int64_t pixels = from.width * from.height;
  HsvBlock block;
  for (int64_t start = 0; start < pixels; start += kHsvBlock) {
    const int count = static_cast<int>(std::min<int64_t>(kHsvBlock, pixels - start));
    const uint8_t* in = from.data + start * 3;
    for (int i = 0; i < count; i++) {
      block.red[i] = in[i * 3];
      block.green[i] = in[i * 3 + 1];
      block.blue[i] = in[i * 3 + 2];
    }
    scaleBlock(tables, block, count);
    uint8_t* out = into + start * 3;
    for (int i = 0; i < count; i++) {
      out[i * 3] = static_cast<uint8_t>(block.red[i]);
      out[i * 3 + 1] = static_cast<uint8_t>(block.green[i]);
      out[i * 3 + 2] = static_cast<uint8_t>(block.blue[i]);
    }
  }
}

}  // namespace goshawk::pixels
