// Which arguments fit the kernels of instance masks, on the processor and on a card.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace goshawk {

inline void check_masks_to_rle(
    const at::Tensor& masks, const at::Tensor& boxes, int64_t height, int64_t width, int64_t padding) {
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
}

inline void check_crop_mask_targets(
    const at::Tensor& data, const at::Tensor& crops, const at::Tensor& rois, const at::Tensor& gt_index,
    int64_t image_height, int64_t image_width, int64_t resolution) {
  TORCH_CHECK(
      data.dim() == 1 && data.scalar_type() == at::kByte, "crop_mask_targets: data must be uint8 [bytes], got ",
      data.sizes(), " ", data.scalar_type());
  TORCH_CHECK(
      crops.dim() == 2 && crops.size(1) == 5 && crops.scalar_type() == at::kLong,
      "crop_mask_targets: crops must be int64 [G, 5], got ", crops.sizes(), " ", crops.scalar_type(),
      ": give data offset, x, y, width, height");
  TORCH_CHECK(
      rois.dim() == 2 && rois.size(1) == 4 && at::isFloatingType(rois.scalar_type()),
      "crop_mask_targets: rois must be [K, 4] floating point xyxy, got ", rois.sizes(), " ", rois.scalar_type());
  TORCH_CHECK(
      gt_index.dim() == 1 && gt_index.size(0) == rois.size(0) && gt_index.scalar_type() == at::kLong,
      "crop_mask_targets: gt_index must be int64 [K] with K = ", rois.size(0), ", got ", gt_index.sizes(), " ",
      gt_index.scalar_type());
  TORCH_CHECK(
      image_height > 0 && image_width > 0 && image_height < INT32_MAX && image_width < INT32_MAX && resolution > 0,
      "crop_mask_targets: bad image size ", image_height, " x ", image_width, " or resolution ", resolution);
}

} // namespace goshawk
