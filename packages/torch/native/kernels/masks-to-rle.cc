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

#include <cmath>
#include <tuple>
#include <vector>

namespace goshawk {
namespace {

struct PasteRule {
  int64_t height;
  int64_t width;
  float threshold;
  bool strict;
  int64_t padding;

  bool keeps(float value) const {
    return strict ? value > threshold : value >= threshold;
  }
};

/** A box in whole pixels; its last row and column belong to it. */
struct PixelBox {
  int64_t x1, y1, x2, y2;
};

class RunWriter {
 public:
  explicit RunWriter(std::vector<int32_t>& runs) : runs_(runs), first_(runs.size()) {
    runs_.push_back(0);
  }

  void add(bool value, int64_t count) {
    if (count <= 0) {
      return;
    }
    if (((runs_.size() - first_) % 2 == 0) != value) {
      runs_.push_back(0);
    }
    runs_.back() += static_cast<int32_t>(count);
  }

 private:
  std::vector<int32_t>& runs_;
  size_t first_;
};

/** Where one output pixel of an axis reads the source: as at::upsample_bilinear2d with align_corners=False. */
struct Tap {
  int64_t low;
  int64_t high;
  float high_weight;
};

Tap tap_at(int64_t at, int64_t size, int64_t source_size) {
  const float scale = static_cast<float>(source_size) / static_cast<float>(size);
  const float source = std::max(scale * (static_cast<float>(at) + 0.5f) - 0.5f, 0.0f);
  const int64_t low = std::min(static_cast<int64_t>(source), source_size - 1);
  return {low, low + (low < source_size - 1 ? 1 : 0), source - static_cast<float>(low)};
}

bool finite(const float* box) {
  return std::isfinite(box[0]) && std::isfinite(box[1]) && std::isfinite(box[2]) && std::isfinite(box[3]);
}

int64_t truncated(float value) {
  // Far outside of any image already; keeps the conversion and the sums below defined.
  constexpr float kFar = 1e12f;
  return static_cast<int64_t>(std::min(std::max(value, -kFar), kFar));
}

PixelBox expanded(const float* box, int64_t resolution, int64_t padding) {
  if (padding == 0) {
    return {truncated(box[0]), truncated(box[1]), truncated(box[2]), truncated(box[3])};
  }
  const auto scale =
      static_cast<float>(static_cast<double>(resolution + 2 * padding) / static_cast<double>(resolution));
  const float half_width = (box[2] - box[0]) * 0.5f * scale;
  const float half_height = (box[3] - box[1]) * 0.5f * scale;
  const float center_x = (box[2] + box[0]) * 0.5f;
  const float center_y = (box[3] + box[1]) * 0.5f;
  return {
      truncated(center_x - half_width), truncated(center_y - half_height), truncated(center_x + half_width),
      truncated(center_y + half_height)};
}

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
  if (!finite(box)) {
    writer.add(false, area);
    return;
  }
  const PixelBox pixels = expanded(box, resolution, rule.padding);
  const int64_t box_width = std::max<int64_t>(pixels.x2 - pixels.x1 + 1, 1);
  const int64_t box_height = std::max<int64_t>(pixels.y2 - pixels.y1 + 1, 1);
  const int64_t left = std::max<int64_t>(pixels.x1, 0);
  const int64_t right = std::min(pixels.x2 + 1, rule.width);
  const int64_t top = std::max<int64_t>(pixels.y1, 0);
  const int64_t bottom = std::min(pixels.y2 + 1, rule.height);
  if (left >= right || top >= bottom) {
    writer.add(false, area);
    return;
  }
  const int64_t side = resolution + 2 * rule.padding;
  const std::vector<float> columns = padded_columns(mask, resolution, rule.padding);

  // Rows grouped by the pair of source rows they lie between.
  struct Stretch {
    int64_t begin, end, low, high;
  };
  std::vector<Stretch> stretches;
  std::vector<float> row_weight(static_cast<size_t>(bottom - top));
  for (int64_t y = top; y < bottom; ++y) {
    const Tap tap = tap_at(y - pixels.y1, box_height, side);
    row_weight[static_cast<size_t>(y - top)] = tap.high_weight;
    if (stretches.empty() || stretches.back().low != tap.low || stretches.back().high != tap.high) {
      stretches.push_back({y, y, tap.low, tap.high});
    }
    stretches.back().end = y + 1;
  }

  // Between two values a margin away from the threshold on one side, rounding cannot cross it.
  const float margin = 1e-5f * std::max(1.0f, std::abs(rule.threshold));
  std::vector<float> column(static_cast<size_t>(side));
  writer.add(false, left * rule.height);
  for (int64_t x = left; x < right; ++x) {
    const Tap tap = tap_at(x - pixels.x1, box_width, side);
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
  TORCH_CHECK(
      masks.dim() == 3 && masks.size(1) == masks.size(2) && masks.size(1) > 0 && masks.size(1) <= 16384 &&
          at::isFloatingType(masks.scalar_type()),
      "masks_to_rle: masks must be [N, M, M] floating point, got ", masks.sizes(), " ", masks.scalar_type());
  TORCH_CHECK(
      boxes.dim() == 2 && boxes.size(0) == masks.size(0) && boxes.size(1) == 4 &&
          at::isFloatingType(boxes.scalar_type()),
      "masks_to_rle: boxes must be [N, 4] floating point xyxy with N = ", masks.size(0), ", got ", boxes.sizes(), " ",
      boxes.scalar_type());
  TORCH_CHECK(
      height > 0 && width > 0 && height <= INT32_MAX / width, "masks_to_rle: bad image size ", height, " x ", width);
  TORCH_CHECK(padding >= 0 && padding <= 16, "masks_to_rle: padding must be from 0 to 16, got ", padding);
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

  at::Tensor offsets = at::empty({count + 1}, at::kLong);
  int64_t* offset = offsets.data_ptr<int64_t>();
  offset[0] = 0;
  for (int64_t i = 0; i < count; ++i) {
    offset[i + 1] = offset[i] + static_cast<int64_t>(runs[static_cast<size_t>(i)].size());
  }
  at::Tensor counts = at::empty({offset[count]}, at::kInt);
  for (int64_t i = 0; i < count; ++i) {
    const std::vector<int32_t>& list = runs[static_cast<size_t>(i)];
    std::copy(list.begin(), list.end(), counts.data_ptr<int32_t>() + offset[i]);
  }
  return {counts, offsets};
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("masks_to_rle", TORCH_FN(goshawk::masks_to_rle_cpu));
}
