// RoIAlign of binary masks that are stored as crops: the mask targets of training (torchvision's
// project_masks_on_boxes: legacy half-pixel, one sample a pixel), without full-size masks in memory.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <vector>

#include "arithmetic/mask-crop.h"
#include "axis-weights.h"
#include "mask-arguments.h"

namespace goshawk {
namespace {

/** A rectangle of a mask: `height` rows of `width` bytes, its upper left pixel at (x, y) of the image. */
struct Crop {
  const uint8_t* data;
  int64_t x, y, width, height;
};

void check_crops(const at::Tensor& crops, int64_t bytes, int64_t image_height, int64_t image_width) {
  const int64_t* row = crops.data_ptr<int64_t>();
  for (int64_t g = 0; g < crops.size(0); ++g, row += 5) {
    TORCH_CHECK(
        crop_is_in_image(row, image_height, image_width), "crop_mask_targets: crops[", g, "] (x ", row[1], ", y ",
        row[2], ", width ", row[3], ", height ", row[4], ") leaves the image of ", image_height, " x ", image_width);
    TORCH_CHECK(
        crop_is_in_data(row, bytes), "crop_mask_targets: crops[", g, "] at offset ", row[0],
        " is longer than data, which has ", bytes, " bytes");
  }
}

void align_crop(
    const Crop& crop, const AxisWeights<float>& rows, const AxisWeights<float>& columns, int64_t resolution,
    std::vector<float>& line, float* out) {
  const int64_t left = std::max<int64_t>(columns.lowest, crop.x);
  const int64_t span = std::min<int64_t>(columns.end, crop.x + crop.width) - left;
  if (span <= 0) {
    std::fill_n(out, resolution * resolution, 0.0f);
    return;
  }
  // Zeros on both sides of the crop's columns, so that the second pass needs no test.
  const int64_t lead = left - columns.lowest;
  line.assign(static_cast<size_t>(columns.end - columns.lowest), 0.0f);
  float* sums = line.data() + lead;
  for (int64_t i = 0; i < resolution; ++i) {
    std::fill_n(sums, span, 0.0f);
    for (auto r = rows.first[static_cast<size_t>(i)]; r < rows.first[static_cast<size_t>(i) + 1]; ++r) {
      const int64_t y = static_cast<int64_t>(rows.index[static_cast<size_t>(r)]) - crop.y;
      if (y < 0 || y >= crop.height) {
        continue;
      }
      const uint8_t* source = crop.data + y * crop.width + (left - crop.x);
      const float weight = rows.weight[static_cast<size_t>(r)];
      for (int64_t x = 0; x < span; ++x) {
        sums[x] += weight * static_cast<float>(source[x]);
      }
    }
    for (int64_t j = 0; j < resolution; ++j) {
      float sum = 0.0f;
      for (auto c = columns.first[static_cast<size_t>(j)]; c < columns.first[static_cast<size_t>(j) + 1]; ++c) {
        const auto e = static_cast<size_t>(c);
        sum += columns.weight[e] * line[static_cast<size_t>(columns.index[e] - columns.lowest)];
      }
      out[i * resolution + j] = sum;
    }
  }
}

/** crops: [G, 5] int64 rows of (offset into data, x, y, width, height); rois: [K, 4] xyxy; gt_index: [K] into crops. */
at::Tensor crop_mask_targets_cpu(
    const at::Tensor& data, const at::Tensor& crops, const at::Tensor& rois, const at::Tensor& gt_index,
    int64_t image_height, int64_t image_width, int64_t resolution) {
  check_crop_mask_targets(data, crops, rois, gt_index, image_height, image_width, resolution);
  const at::Tensor bytes = data.contiguous();
  const at::Tensor table = crops.contiguous();
  const at::Tensor boxes = rois.to(at::kFloat).contiguous();
  const at::Tensor index = gt_index.contiguous();
  check_crops(table, bytes.size(0), image_height, image_width);
  const int64_t count = boxes.size(0);
  const int64_t* owner = index.data_ptr<int64_t>();
  for (int64_t k = 0; k < count; ++k) {
    TORCH_CHECK(
        owner[k] >= 0 && owner[k] < table.size(0), "crop_mask_targets: gt_index[", k, "] is ", owner[k],
        ", but there are ", table.size(0), " crops");
  }
  at::Tensor result = at::empty({count, resolution, resolution}, at::kFloat);
  const uint8_t* mask = bytes.data_ptr<uint8_t>();
  const int64_t* crop = table.data_ptr<int64_t>();
  const float* box = boxes.data_ptr<float>();
  float* out = result.data_ptr<float>();
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    AxisWeights<float> rows;
    AxisWeights<float> columns;
    std::vector<float> line;
    for (int64_t k = begin; k < end; ++k) {
      const float* roi = box + k * 4;
      rows.build(roi[1], roi[3], 1.0f, false, resolution, 0, image_height);
      columns.build(roi[0], roi[2], 1.0f, false, resolution, 0, image_width);
      const int64_t* row = crop + owner[k] * 5;
      const Crop source{mask + row[0], row[1], row[2], row[3], row[4]};
      align_crop(source, rows, columns, resolution, line, out + k * resolution * resolution);
    }
  });
  return result;
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("crop_mask_targets", TORCH_FN(goshawk::crop_mask_targets_cpu));
}
