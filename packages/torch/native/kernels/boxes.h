// Boxes in xyxy, taken apart into one array a coordinate, which the loops over pairs of boxes can be vectorised on.
#pragma once

#include "arithmetic/box-overlap.h"

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
    area.push_back(box_area(box[0], box[1], box[2], box[3], extra));
  }

  size_t size() const {
    return x1.size();
  }
};

} // namespace goshawk
