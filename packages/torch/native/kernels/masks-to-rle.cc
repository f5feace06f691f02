// Pastes predicted masks of M x M probabilities into the image (He et al., Mask R-CNN, 2017, section 3.1) and returns
// them as COCO run lengths at once: columns first, zeros first. No full image is ever made, and a stretch of a column
// between two source rows whose ends agree is one step.
//
// With padding 1: torchvision's paste_masks_in_image, Detectron's segm_results, maskrcnn-benchmark's Masker. The mask gets
// a border of zeros, its box grows by (M + 2) / M about its centre and is truncated to whole pixels, end pixels included.
// With padding 0: mmdetection 1.x's FCNMaskHead.get_seg_masks. `strict` keeps > threshold in place of >=.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "arithmetic/mask-paste.h"
#include "mask-arguments.h"
#include "run-lengths.h"

namespace goshawk {
namespace {

/** The mask's columns one after the other, with its border of zeros: columns are what the runs go along. */
std::vector<float> padded_columns(const float* mask, int64_t resolution, int64_t padding) {
  const int64_t side = resolution + 2 * padding;
  std::vector<float> columns(static_cast<size_t>(side * side), 0.0f);
  for (int64_t y = 0; y < resolution; ++y) {
    for (int64_t x = 0; x < resolution; ++x) {
      columns[static_cast<size_t>((x + padding) * side + y + padding)] = mask[y * resolution + x];
    }
  }
  return columns;
}

void paste(const float* mask, int64_t resolution, const float* box, const PasteRule& rule, std::vector<int32_t>& runs) {
  RunWriter writer(runs);
  const int64_t area = rule.height * rule.width;
  if (!is_finite_box(box)) {
    writer.add(false, area);
    return;
  }
  const PixelBox pixels = expanded_box(box, resolution, rule.padding);
  const PasteArea reach = paste_area(pixels, rule);
  if (reach.empty()) {
    writer.add(false, area);
    return;
  }
  const auto [left, top, right, bottom] = reach;
  const int64_t side = resolution + 2 * rule.padding;
  const std::vector<float> columns = padded_columns(mask, resolution, rule.padding);

  // Rows grouped by the pair of source rows they lie between.
  struct Stretch {
    int64_t begin, end, low, high;
  };
  std::vector<Stretch> stretches;
  std::vector<float> row_weight(static_cast<size_t>(bottom - top));
  for (int64_t y = top; y < bottom; ++y) {
    const PasteTap tap = paste_tap(y - pixels.y1, pixels.height(), side);
    row_weight[static_cast<size_t>(y - top)] = tap.high_weight;
    if (stretches.empty() || stretches.back().low != tap.low || stretches.back().high != tap.high) {
      stretches.push_back({y, y, tap.low, tap.high});
    }
    stretches.back().end = y + 1;
  }

  const float margin = rule.margin();
  std::vector<float> column(static_cast<size_t>(side));
  writer.add(false, left * rule.height);
  for (int64_t x = left; x < right; ++x) {
    const PasteTap tap = paste_tap(x - pixels.x1, pixels.width(), side);
    const float* low = columns.data() + tap.low * side;
    const float* high = columns.data() + tap.high * side;
    const float low_weight = 1.0f - tap.high_weight;
    for (int64_t s = 0; s < side; ++s) {
      column[static_cast<size_t>(s)] = low_weight * low[s] + tap.high_weight * high[s];
    }
    writer.add(false, top);
    for (const Stretch& stretch : stretches) {
      const float a = column[static_cast<size_t>(stretch.low)];
      const float b = column[static_cast<size_t>(stretch.high)];
      if (a > rule.threshold + margin && b > rule.threshold + margin) {
        writer.add(true, stretch.end - stretch.begin);
      } else if (a < rule.threshold - margin && b < rule.threshold - margin) {
        writer.add(false, stretch.end - stretch.begin);
      } else {
        for (int64_t y = stretch.begin; y < stretch.end; ++y) {
          const float weight = row_weight[static_cast<size_t>(y - top)];
          writer.add(rule.keeps((1.0f - weight) * a + weight * b), 1);
        }
      }
    }
    writer.add(false, rule.height - bottom);
  }
  writer.add(false, (rule.width - right) * rule.height);
}

std::tuple<at::Tensor, at::Tensor> masks_to_rle_cpu(
    const at::Tensor& masks, const at::Tensor& boxes, int64_t height, int64_t width, double threshold, bool strict,
    int64_t padding) {
  check_masks_to_rle(masks, boxes, height, width, padding);
  const at::Tensor probabilities = masks.to(at::kFloat).contiguous();
  const at::Tensor corners = boxes.to(at::kFloat).contiguous();
  const float* mask = probabilities.data_ptr<float>();
  const float* box = corners.data_ptr<float>();
  const int64_t count = masks.size(0);
  const int64_t resolution = masks.size(1);
  const PasteRule rule{height, width, static_cast<float>(threshold), strict, padding};

  std::vector<std::vector<int32_t>> runs(static_cast<size_t>(count));
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      paste(mask + i * resolution * resolution, resolution, box + i * 4, rule, runs[static_cast<size_t>(i)]);
    }
  });

  return joined_runs(runs);
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("masks_to_rle", TORCH_FN(goshawk::masks_to_rle_cpu));
}
