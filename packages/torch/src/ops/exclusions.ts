// Which of the engine's operators get a typed function. The lists are exceptions, each with its reason; everything
// left out stays reachable by callOp().

/** Operators that are the engine's own business. */
const INTERNAL_PATTERNS: readonly RegExp[] = [
  // Derivatives: autograd calls them.
  /_backward(_|$)/,
  /_double_backward/,
  /_jvp$/,
  // One backend's version of an operator that has a general name.
  /^(cudnn|miopen|mkldnn|fbgemm|thnn|slow_conv|conv_depthwise|native)_?/,
  // Quantised, sparse, nested and named tensors: not among the dtypes and layouts of Tensor.
  /quant/,
  /^q_/,
  /^fused_moving_avg/,
  /qparams/,
  /sparse/,
  /^to_mkldnn|^nested_|_padded_tensor$/,
  /^c?(col|row|crow)_indices/,
  /^(refine_names|rename_?|align_\w+|names)$/,
  // The half of a loss that keeps buffers for its derivative; the plain name calls it.
  /^(log_sigmoid|multilabel_margin_loss|nll_loss|nll_loss2d)_forward$/,
];

/** Single names, with what to use instead where there is something. */
const INTERNAL_NAMES: readonly string[] = [
  // Copies of views, made for tracing compilers (`index_copy` is another thing: it writes).
  ...['alias', 'as_strided', 'detach', 'diagonal', 'expand', 'indices', 'lift_fresh', 'narrow', 'permute'].map(copyOf),
  ...['select', 'slice', 'split', 'split_with_sizes', 'squeeze', 't', 'transpose', 'unbind', 'unfold'].map(copyOf),
  ...['unsqueeze', 'values', 'view', 'view_as_complex', 'view_as_real', 'view_as_imag', 'alias_with_sizes'].map(copyOf),
  // Bookkeeping of autograd and of tracing: Tensor has requiresGrad, grad, isLeaf, detach().
  ...['data', 'set_data', 'is_leaf', 'output_nr', 'requires_grad_', 'retain_grad', 'retains_grad', 'get_gradients'],
  ...['is_inference', 'lift', 'lift_fresh', 'alias', 'record_stream', 'is_set_to', 'set_', 'set', 'real_'],
  ...['convolution_overrideable', 'unsafe_chunk', 'unsafe_split', 'unsafe_split_with_sizes', 'normal_functional'],
  ...['nll_loss_nd', 'nonzero_numpy', 'flatten_dense_tensors', 'unflatten_dense_tensors', 'matrix_H', 'numpy_T'],
  ...['batch_norm_stats', 'batch_norm_elemt', 'batch_norm_gather_stats', 'batch_norm_update_stats'],
  ...[
    'batch_norm_gather_stats_with_counts',
    'is_vulkan_available',
    'is_distributed',
    'from_file',
    'qscheme',
    'int_repr',
  ],
  ...['dequantize', 'coalesce', 'is_coalesced', 'dense_dim', 'hspmm', 'smm', 'sspaddmm', 'indices', 'values'],
  ...[
    'embedding_renorm_',
    'embedding_renorm',
    'resize_',
    'resize',
    'resize_as_',
    'resize_as',
    'pin_memory',
    'is_pinned',
  ],
  // Tensor has them by hand: to(), item(), size(), strides.
  ...['to', 'item', 'size', 'stride'],
  // Dropped by newer engines; linalg_* has each.
  ...['symeig', 'matrix_rank', 'lstsq', 'eig', 'solve'],
];

/** Members that class Tensor defines by hand: an operator of such a name stays a function, and is no method. */
export const TENSOR_MEMBERS: readonly string[] = [
  ...['id', 'shape', 'strides', 'dtype', 'device', 'rank', 'length', 'grad', 'requiresGrad', 'isLeaf'],
  ...['size', 'isContiguous', 'is', 'item', 'toTypedArray', 'toFloat32Array', 'toNumbers', 'toBytes', 'to'],
  ...['backward', 'dispose', 'toString', 'constructor'],
];

/** Whether `ops` has a typed function of that name. */
export function isPublicOperator(name: string): boolean {
  return (
    !name.startsWith('_') && !INTERNAL_PATTERNS.some((pattern) => pattern.test(name)) && !INTERNAL_NAMES.includes(name)
  );
}

function copyOf(view: string): string {
  return `${view}_copy`;
}
