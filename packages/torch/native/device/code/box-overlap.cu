// Overlap of every pair of boxes.
#include "device/code/scalar.cuh"

#include "arithmetic/box-overlap.h"

namespace goshawk {

/** out[i * columns + j] = IoU of row box i and column box j, [N, 4] and [M, 4] xyxy. */
GOSHAWK_KERNEL void box_iou(
    const Wide* rows, const Wide* columns, int64_t row_count, int64_t column_count, Wide extra, Wide* out) {
  const int64_t total = row_count * column_count;
  for (int64_t i = thread_number(); i < total; i += thread_count()) {
    const Box<Wide> row(rows + i / column_count * 4, extra);
    const Wide* other = columns + i % column_count * 4;
    const Wide area = box_area(other[0], other[1], other[2], other[3], extra);
    out[i] = iou(other[0], other[1], other[2], other[3], area, row, extra);
  }
}

} // namespace goshawk
