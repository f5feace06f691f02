// The operators that a card runs by kernels of its own: each file of device/ implements some of them.
#pragma once

#include <torch/library.h>

namespace goshawk {

void implement_batch_norm_halves(torch::Library& m);
void implement_box_overlap(torch::Library& m);
void implement_focal_loss(torch::Library& m);
void implement_masks(torch::Library& m);
void implement_match_anchors(torch::Library& m);
void implement_nms(torch::Library& m);
void implement_roi_align(torch::Library& m);
void implement_roi_pool(torch::Library& m);
void implement_scale_shift(torch::Library& m);

/**
 * Reaches all of them under the name goshawk_emulated:: too, for tensors of the CPU, with the kernels of `library`. For tests on
 * machines without a card.
 */
void emulate_card(const char* library);

} // namespace goshawk
