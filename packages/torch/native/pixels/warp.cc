// Pictures under a map of the plane, by bilinear interpolation between pixel centres.
#include <algorithm>

#include "lanes.h"
#include "picture.h"

namespace goshawk::pixels {

namespace {

constexpr double kLeastDepth = 1e-6;

// u, v and w at x = 0 and what they grow by.
struct Line {
  double u, v, w, du, dv, dw;
};

struct Stretch {
  int64_t start, end;
};

// The pixels of a row where w is positive and left < u / w < right, top < v / w < bottom: they are consecutive.
Stretch stretchWithin(int64_t width, const Line& line, double left, double right, double top, double bottom) {
  const double bounds[5][2] = {
      {line.dw, line.w - kLeastDepth},
      {line.du - left * line.dw, line.u - left * line.w},
      {right * line.dw - line.du, right * line.w - line.u},
      {line.dv - top * line.dw, line.v - top * line.w},
      {bottom * line.dw - line.dv, bottom * line.w - line.v},
  };
  double start = 0;
  double end = static_cast<double>(width);
  for (const auto& [slope, offset] : bounds) {
    if (slope > 0)
      start = std::max(start, std::ceil(-offset / slope));
    else if (slope < 0)
      end = std::min(end, std::floor(offset / -slope) + 1);
    else if (offset < 0)
      end = 0;
  }
  const auto isWithin = [&](double x) {
    for (const auto& [slope, offset] : bounds)
      if (!(slope * x + offset >= 0)) return false;
    return true;
  };
  while (start < end && !isWithin(start)) start++;
  while (end > start && !isWithin(end - 1)) end--;
  if (!(start < end)) return {width, width};
  return {static_cast<int64_t>(start), static_cast<int64_t>(end)};
}

void fillRun(uint8_t* to, int64_t count, const uint8_t fill[3]) {
  for (int64_t x = 0; x < count; x++)
    for (int c = 0; c < 3; c++) to[x * 3 + c] = fill[c];
}

// Weights in 1/256. `more`: whether a byte may be written behind the pixel, and read behind its neighbours.
inline Int4 mixed(const uint8_t* at, const uint8_t* below, int32_t fx, int32_t fy, bool more) {
  const Int4 a = load4(at), b = load4(at + 3), c = load4(below), d = more ? load4(below + 3) : load3(below + 3);
  const Int4 top = (a << 8) + (b - a) * all(fx);
  const Int4 bottom = (c << 8) + (d - c) * all(fx);
  return ((top << 8) + (bottom - top) * all(fy) + 32768) >> 16;
}

// One pixel near the border, where some of its four neighbours may be fill.
void sampleBorder(const Picture& from, const Line& line, int64_t x, const uint8_t fill[3], uint8_t* to) {
  const double w = line.w + line.dw * static_cast<double>(x);
  const double sx = (line.u + line.du * static_cast<double>(x)) / w;
  const double sy = (line.v + line.dv * static_cast<double>(x)) / w;
  const double left = std::floor(sx);
  const double top = std::floor(sy);
  const double fx = sx - left;
  const double fy = sy - top;
  const auto at = [&](double px, double py, int c) -> double {
    const bool inside = px >= 0 && py >= 0 && px < static_cast<double>(from.width) && py < static_cast<double>(from.height);
    return inside ? from.data[(static_cast<int64_t>(py) * from.width + static_cast<int64_t>(px)) * 3 + c] : fill[c];
  };
  for (int c = 0; c < 3; c++) {
    const double upper = at(left, top, c) * (1 - fx) + at(left + 1, top, c) * fx;
    const double lower = at(left, top + 1, c) * (1 - fx) + at(left + 1, top + 1, c) * fx;
    to[c] = static_cast<uint8_t>(static_cast<int32_t>(roundUp(upper * (1 - fy) + lower * fy)));
  }
}

// Whether the pixel at (x, y) has neighbours right of and below it.
bool hasNeighbours(const Picture& from, int64_t x, int64_t y) {
  return x >= 0 && y >= 0 && x < from.width - 1 && y < from.height - 1;
}

// Places in 1/65536 that advance by whole steps of that. False where rounding would leave the picture: nothing is written then.
bool sampleAffine(const Picture& from, const Line& line, int64_t start, int64_t end, uint8_t* to) {
  const int64_t stepX = static_cast<int64_t>(roundUp(line.du * 65536));
  const int64_t stepY = static_cast<int64_t>(roundUp(line.dv * 65536));
  const int64_t beginX = static_cast<int64_t>(roundUp((line.u + line.du * static_cast<double>(start)) * 65536 + 128));
  const int64_t beginY = static_cast<int64_t>(roundUp((line.v + line.dv * static_cast<double>(start)) * 65536 + 128));
  const int64_t steps = end - start - 1;
  const int64_t lastX = beginX + stepX * steps, lastY = beginY + stepY * steps;
  if (!hasNeighbours(from, beginX >> 16, beginY >> 16) || !hasNeighbours(from, lastX >> 16, lastY >> 16)) return false;
  const int64_t stride = from.stride();
  const uint8_t* const lastWhole = from.data + from.bytes() - 7;
  int32_t placeX = static_cast<int32_t>(beginX), placeY = static_cast<int32_t>(beginY);
  for (int64_t x = 0; x <= steps; x++, to += 3) {
    const uint8_t* at = from.data + (placeY >> 16) * stride + (placeX >> 16) * 3;
    const uint8_t* below = at + stride;
    const int32_t fx = (placeX >> 8) & 255, fy = (placeY >> 8) & 255;
    const Int4 levels = mixed(at, below, fx, fy, below <= lastWhole);
    if (x < steps)
      store4(to, levels);
    else
      store3(to, levels);
    placeX += static_cast<int32_t>(stepX);
    placeY += static_cast<int32_t>(stepY);
  }
  return true;
}

void samplePerspective(const Picture& from, const Line& line, int64_t start, int64_t end, const uint8_t fill[3],
                       uint8_t* to) {
  const int64_t stride = from.stride();
  const uint8_t* const lastWhole = from.data + from.bytes() - 7;
  for (int64_t x = start; x < end; x++, to += 3) {
    const double place = static_cast<double>(x);
    const double scale = 256 / (line.w + line.dw * place);
    const int64_t fixedX = static_cast<int64_t>((line.u + line.du * place) * scale + 0.5);
    const int64_t fixedY = static_cast<int64_t>((line.v + line.dv * place) * scale + 0.5);
    if (!hasNeighbours(from, fixedX >> 8, fixedY >> 8)) {
      sampleBorder(from, line, x, fill, to);
      continue;
    }
    const uint8_t* at = from.data + (fixedY >> 8) * stride + (fixedX >> 8) * 3;
    const uint8_t* below = at + stride;
    store3(to, mixed(at, below, fixedX & 255, fixedY & 255, below <= lastWhole));
  }
}

}  // namespace

void warp(const Picture& from, const double inverse[9], const uint8_t fill[3], uint8_t* into, int64_t width,
          int64_t height) {
  const double a = inverse[0], b = inverse[1], c = inverse[2], d = inverse[3], e = inverse[4], f = inverse[5];
  const double g = inverse[6], h = inverse[7], i = inverse[8];
  // So far inside that rounding to 1/256 of a pixel, and steps that are off by 1/131072 each, never leave the picture.
  const double slack = 0.003 + static_cast<double>(width) / 131072;
  const double fromWidth = static_cast<double>(from.width), fromHeight = static_cast<double>(from.height);
  for (int64_t y = 0; y < height; y++) {
    uint8_t* const row = into + y * width * 3;
    const double w0 = g * 0.5 + h * (static_cast<double>(y) + 0.5) + i;
    const double u0 = a * 0.5 + b * (static_cast<double>(y) + 0.5) + c - 0.5 * w0;
    const double v0 = d * 0.5 + e * (static_cast<double>(y) + 0.5) + f - 0.5 * w0;
    const Line line{u0, v0, w0, a - 0.5 * g, d - 0.5 * g, g};
    const Stretch seen = stretchWithin(width, line, -1, fromWidth, -1, fromHeight);
    const Stretch inner = stretchWithin(width, line, slack, fromWidth - 1 - slack, slack, fromHeight - 1 - slack);
    const bool isInner = inner.end > inner.start;
    const int64_t start = isInner ? std::max(inner.start, seen.start) : seen.end;
    const int64_t end = isInner ? std::min(inner.end, seen.end) : seen.end;
    fillRun(row, seen.start, fill);
    for (int64_t x = seen.start; x < start; x++) sampleBorder(from, line, x, fill, row + x * 3);
    if (start < end) {
      const bool isAffine = line.dw == 0 && line.w == 1;
      if (!isAffine || !sampleAffine(from, line, start, end, row + start * 3))
        samplePerspective(from, line, start, end, fill, row + start * 3);
    }
    for (int64_t x = end; x < seen.end; x++) sampleBorder(from, line, x, fill, row + x * 3);
    fillRun(row + seen.end * 3, width - seen.end, fill);
  }
}

}  // namespace goshawk::pixels
