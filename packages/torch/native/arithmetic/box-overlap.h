// Overlap of two boxes in xyxy.
#pragma once

#include "arithmetic/both.h"

namespace goshawk {

/** `extra` is 1 for the legacy convention, in which a box's last pixel belongs to it (width = x2 - x1 + 1), else 0. */
template <typename T>
GOSHAWK_BOTH T box_area(T x1, T y1, T x2, T y2, T extra) {
  return (x2 - x1 + extra) * (y2 - y1 + extra);
}

template <typename T>
struct Box {
  T x1, y1, x2, y2, area;

  GOSHAWK_BOTH Box(const T* box, T extra)
      : x1(box[0]), y1(box[1]), x2(box[2]), y2(box[3]), area(box_area(x1, y1, x2, y2, extra)) {}
};

/**
 * Intersection over union in torchvision's order of operations: inter / (area_b + area_a - inter). NaN where both are
 * empty. Written without std::min and std::max, whose references keep the compilers from vectorising.
 */
template <typename T>
GOSHAWK_BOTH T iou(T ax1, T ay1, T ax2, T ay2, T area_a, const Box<T>& b, T extra) {
  const T left = ax1 > b.x1 ? ax1 : b.x1;
  const T top = ay1 > b.y1 ? ay1 : b.y1;
  const T right = ax2 < b.x2 ? ax2 : b.x2;
  const T bottom = ay2 < b.y2 ? ay2 : b.y2;
  const T width = right - left + extra;
  const T height = bottom - top + extra;
  const T inter = (width > T(0) ? width : T(0)) * (height > T(0) ? height : T(0));
  return inter / (b.area + area_a - inter);
}

} // namespace goshawk
