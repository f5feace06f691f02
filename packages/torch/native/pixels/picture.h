// Pictures in memory as JavaScript has them, and what the kernels are told beside them. Every kernel gives the values of the
// TypeScript function of the same name in @goshawk/core, to the last bit: its arithmetic is that of the reference, in the
// same order and precision (the build contracts no products into sums).
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace goshawk::pixels {

// RGB, uint8, rows first, without gaps.
struct Picture {
  const uint8_t* data;
  int64_t width;
  int64_t height;

  int64_t stride() const { return width * 3; }
  int64_t bytes() const { return width * height * 3; }
};

struct Window {
  int64_t x;
  int64_t y;
  int64_t width;
  int64_t height;
};

// A network's values: level * gain + bias of each channel, in the network's order of channels.
struct Normalisation {
  double gain[3];
  double bias[3];
  // Whether the network reads blue first.
  bool reversed;
};

struct FloatRows {
  float* data;
  int64_t stride;
};

// JavaScript's Math.round.
inline double roundUp(double value) {
  const double whole = std::floor(value);
  return value - whole >= 0.5 ? whole + 1 : whole;
}

// cv::resize with INTER_LINEAR. `emit` gets each row of the window, `window.width * 3` bytes.
template <typename Emit>
void resizeOpenCv(const Picture& from, int64_t width, int64_t height, const Window& window, const Emit& emit);

// PIL's Image.resize with BILINEAR.
template <typename Emit>
void resizePil(const Picture& from, int64_t width, int64_t height, const Window& window, const Emit& emit);

void resizeTorch(const Picture& from, double stepX, double stepY, const Window& window, const Normalisation& values,
                 const FloatRows& into);

// A row of bytes as a network's values.
void normaliseRow(const uint8_t* row, int64_t pixels, const Normalisation& values, float* into);

// `inverse` leads from the result to the picture; neither has a side above kMostSide.
void warp(const Picture& from, const double inverse[9], const uint8_t fill[3], uint8_t* into, int64_t width,
          int64_t height);
constexpr int64_t kMostSide = 32767;

// `into` may be the picture's own memory for the next four.
void scaleHsv(const Picture& from, double hue, double saturation, double value, uint8_t* into);
void changeBrightness(const Picture& from, double factor, uint8_t* into);
void changeContrast(const Picture& from, double factor, uint8_t* into);
void changeSaturation(const Picture& from, double factor, uint8_t* into);
// `quantiles`: 65536 of the normal distribution.
void addNoise(const Picture& from, double sigma, int32_t seed, const float* quantiles, uint8_t* into);
// Both have `bytes` bytes.
void blend(const uint8_t* first, const uint8_t* second, int64_t bytes, double share, uint8_t* into);

// Sides are 3 or 5.
void blurGaussian(const Picture& from, int side, uint8_t* into);
void blurBox(const Picture& from, int side, uint8_t* into);
void blurMedian(const Picture& from, int side, uint8_t* into);

// Left to right, in its own memory.
void mirrorRows(uint8_t* data, int64_t width, int64_t height);

// What is wrong with a JPEG's compressed data; nullptr where nothing is, or where another has to judge. A text of this function's own
// memory lies in `said`.
const char* jpegDamage(const uint8_t* bytes, size_t length, char (&said)[64]);

}  // namespace goshawk::pixels
