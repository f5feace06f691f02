// Pairwise IoU, and the assignment of boxes to ground truth (Ren et al., Faster R-CNN, 2015, section 3.1.2) without the
// [ground truth, boxes] matrix: for 250,000 anchors and 100 objects that matrix takes 100 MB, this takes 3 MB.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <vector>

#include "boxes.h"

namespace goshawk {
namespace {

constexpr int64_t kAnchorBlock = 1024;
constexpr int64_t kBelowLow = -1;
constexpr int64_t kBetween = -2;

template <typename T>
BoxColumns<T> columns_of(const T* boxes, int64_t begin, int64_t end, T extra) {
  BoxColumns<T> columns;
  columns.reserve(static_cast<size_t>(end - begin));
  for (int64_t i = begin; i < end; ++i) {
    columns.push(boxes + i * 4, extra);
  }
  return columns;
}

/** out[i] = IoU of columns[i] with box. */
template <typename T>
void iou_row(const BoxColumns<T>& columns, const Box<T>& box, T extra, T* out) {
  const T* x1 = columns.x1.data();
  const T* y1 = columns.y1.data();
  const T* x2 = columns.x2.data();
  const T* y2 = columns.y2.data();
  const T* area = columns.area.data();
  const size_t count = columns.size();
  for (size_t i = 0; i < count; ++i) {
    out[i] = iou(x1[i], y1[i], x2[i], y2[i], area[i], box, extra);
  }
}

template <typename T>
at::Tensor box_iou_typed(const at::Tensor& a, const at::Tensor& b, bool plus_one) {
  const auto dtype = c10::CppTypeToScalarType<T>::value;
  const at::Tensor rows = a.to(dtype).contiguous();
  const at::Tensor others = b.to(dtype).contiguous();
  const int64_t width = others.size(0);
  const T extra = plus_one ? T(1) : T(0);
  at::Tensor result = at::empty({rows.size(0), width}, rows.options());
  const T* row_data = rows.data_ptr<T>();
  T* out = result.data_ptr<T>();
  const BoxColumns<T> columns = columns_of(others.data_ptr<T>(), 0, width, extra);
  const int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, width));
  at::parallel_for(0, rows.size(0), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      iou_row(columns, Box<T>(row_data + i * 4, extra), extra, out + i * width);
    }
  });
  return result;
}

at::Tensor box_iou_cpu(const at::Tensor& a, const at::Tensor& b, bool plus_one) {
  check_boxes("box_iou", "a", a);
  check_boxes("box_iou", "b", b);
  return a.scalar_type() == at::kDouble || b.scalar_type() == at::kDouble ? box_iou_typed<double>(a, b, plus_one)
                                                                         : box_iou_typed<float>(a, b, plus_one);
}

/**
 * The index of the ground truth that each box matches, -1 below `low`, -2 between the thresholds: torchvision's Matcher
 * on box_iou in float32, equal IoUs going to the first ground truth. With allow_low_quality each box that reaches a
 * ground truth's best IoU is matched after all, to its own best. As there, a ground truth that no box overlaps has a
 * best IoU of 0, which every box that misses it reaches. An IoU that is not a number counts as 0.
 *
 * With last_claims it is mmdetection 1's MaxIoUAssigner: a ground truth takes the boxes that reach its best IoU from
 * whatever they matched before, the last one wins, and one that no box overlaps takes none.
 */
at::Tensor match_anchors_cpu(
    const at::Tensor& gt_boxes, const at::Tensor& boxes, double low, double high, bool allow_low_quality,
    bool plus_one, bool last_claims) {
  check_boxes("match_anchors", "gt_boxes", gt_boxes);
  check_boxes("match_anchors", "boxes", boxes);
  TORCH_CHECK(low <= high, "match_anchors: low must be at most high, got ", low, " and ", high);
  const at::Tensor truth = gt_boxes.to(at::kFloat).contiguous();
  const at::Tensor anchors = boxes.to(at::kFloat).contiguous();
  const int64_t gt_count = truth.size(0);
  const int64_t count = anchors.size(0);
  if (gt_count == 0) {
    return at::full({count}, kBelowLow, at::kLong);
  }
  at::Tensor result = at::empty({count}, at::kLong);
  if (count == 0) {
    return result;
  }
  const float extra = plus_one ? 1.0f : 0.0f;
  const auto low_f = static_cast<float>(low);
  const auto high_f = static_cast<float>(high);
  const float* gt = truth.data_ptr<float>();
  const float* anchor = anchors.data_ptr<float>();
  int64_t* match = result.data_ptr<int64_t>();
  const int64_t blocks = (count + kAnchorBlock - 1) / kAnchorBlock;

  // The first pass notes the best IoU of each ground truth in each block of boxes, so that the second looks only into
  // the blocks that hold the best of all.
  std::vector<float> block_best(static_cast<size_t>(allow_low_quality ? blocks * gt_count : 0));
  std::vector<int32_t> argmax(static_cast<size_t>(allow_low_quality ? count : 0));
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    float overlap[kAnchorBlock];
    float best[kAnchorBlock];
    int32_t which[kAnchorBlock];
    for (int64_t block = begin; block < end; ++block) {
      const int64_t from = block * kAnchorBlock;
      const int64_t size = std::min(count - from, kAnchorBlock);
      const BoxColumns<float> columns = columns_of(anchor, from, from + size, extra);
      std::fill_n(best, size, 0.0f);
      std::fill_n(which, size, 0);
      for (int64_t g = 0; g < gt_count; ++g) {
        iou_row(columns, Box<float>(gt + g * 4, extra), extra, overlap);
        float top = 0.0f;
        for (int64_t i = 0; i < size; ++i) {
          const bool better = overlap[i] > best[i];
          best[i] = better ? overlap[i] : best[i];
          which[i] = better ? static_cast<int32_t>(g) : which[i];
        }
        if (allow_low_quality) {
          for (int64_t i = 0; i < size; ++i) {
            top = overlap[i] > top ? overlap[i] : top;
          }
          block_best[static_cast<size_t>(block * gt_count + g)] = top;
        }
      }
      for (int64_t i = 0; i < size; ++i) {
        match[from + i] = best[i] < low_f ? kBelowLow : best[i] < high_f ? kBetween : which[i];
      }
      if (allow_low_quality) {
        std::copy_n(which, size, argmax.data() + from);
      }
    }
  });
  if (!allow_low_quality) {
    return result;
  }

  std::vector<float> gt_best(static_cast<size_t>(gt_count), 0.0f);
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t g = 0; g < gt_count; ++g) {
      float& best = gt_best[static_cast<size_t>(g)];
      best = std::max(best, block_best[static_cast<size_t>(block * gt_count + g)]);
    }
  }
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    float overlap[kAnchorBlock];
    for (int64_t block = begin; block < end; ++block) {
      const int64_t from = block * kAnchorBlock;
      const int64_t size = std::min(count - from, kAnchorBlock);
      BoxColumns<float> columns;
      for (int64_t g = 0; g < gt_count; ++g) {
        const float best = gt_best[static_cast<size_t>(g)];
        if (block_best[static_cast<size_t>(block * gt_count + g)] != best || (last_claims && best == 0.0f)) {
          continue;
        }
        if (columns.size() == 0) {
          columns = columns_of(anchor, from, from + size, extra);
        }
        iou_row(columns, Box<float>(gt + g * 4, extra), extra, overlap);
        for (int64_t i = 0; i < size; ++i) {
          const float value = overlap[i] > 0.0f ? overlap[i] : 0.0f;
          if (value == best) {
            match[from + i] = last_claims ? static_cast<int32_t>(g) : argmax[static_cast<size_t>(from + i)];
          }
        }
      }
    }
  });
  return result;
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("box_iou", TORCH_FN(goshawk::box_iou_cpu));
  m.impl("match_anchors", TORCH_FN(goshawk::match_anchors_cpu));
}
