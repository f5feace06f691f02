// Boxes in xyxy, taken apart into one array a coordinate, which the loops over pairs of boxes can be vectorised on.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace goshawk {

/** Throws c10::Error unless boxes are [N, 4] floating point. */
inline void check_boxes(const char* op, const char* name, const at::Tensor& boxes) {
  TORCH_CHECK(
      boxes.dim() == 2 && boxes.size(1) == 4 && at::isFloatingType(boxes.scalar_type()), op, ": ", name,
      " must be [N, 4] floating point xyxy, got ", boxes.sizes(), " ", boxes.scalar_type());
}

template <typename T>
struct BoxColumns {
  std::vector<T> x1, y1, x2, y2, area;

  void reserve(size_t count) {
    for (std::vector<T>* column : {&x1, &y1, &x2, &y2, &area}) {
      column->reserve(count);
    }
  }

  void clear() {
    for (std::vector<T>* column : {&x1, &y1, &x2, &y2, &area}) {
      column->clear();
    }
  }

  /** `extra` is 1 for the legacy convention, in which a box's last pixel belongs to it (width = x2 - x1 + 1). */
  void push(const T* box, T extra) {
    x1.push_back(box[0]);
    y1.push_back(box[1]);
    x2.push_back(box[2]);
    y2.push_back(box[3]);
    area.push_back((box[2] - box[0] + extra) * (box[3] - box[1] + extra));
  }

  size_t size() const {
    return x1.size();
  }
};

template <typename T>
struct Box {
  T x1, y1, x2, y2, area;

  Box(const T* box, T extra)
      : x1(box[0]), y1(box[1]), x2(box[2]), y2(box[3]), area((x2 - x1 + extra) * (y2 - y1 + extra)) {}
};

/**
 * Intersection over union in torchvision's order of operations: inter / (area_b + area_a - inter). NaN where both are
 * empty. Written without std::min and std::max, whose references keep the compilers from vectorising.
 */
template <typename T>
inline T iou(T ax1, T ay1, T ax2, T ay2, T area_a, const Box<T>& b, T extra) {
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
