export interface TensorMethods {
  add(other: import('../tensor/tensor.js').Tensor | number): import('../tensor/tensor.js').Tensor;
}
