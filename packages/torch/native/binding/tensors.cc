// Tensors made from JavaScript memory, read back into it, described and freed.
#include <cstring>

#include "module.h"
#include "values.h"

namespace goshawk {

namespace {

template <size_t N>
size_t arguments(napi_env env, napi_callback_info info, napi_value (&args)[N]) {
  size_t count = N;
  check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
  for (size_t i = count; i < N; ++i) check(env, napi_get_undefined(env, &args[i]));
  return count;
}

struct Bytes {
  void* data;
  size_t length;
};

Bytes bytesOf(napi_env env, napi_value value) {
  bool isTyped = false;
  check(env, napi_is_typedarray(env, value, &isTyped));
  if (!isTyped) throw CallError("expected a typed array");
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  napi_value buffer;
  size_t offset = 0;
  check(env, napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset));
  size_t item = 1;
  switch (type) {
    case napi_int16_array:
    case napi_uint16_array: item = 2; break;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array: item = 4; break;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array: item = 8; break;
    default: break;
  }
  return {data, length * item};
}

// Far above any memory, far below where 64 bits overflow.
constexpr size_t kMostBytes = size_t{1} << 50;

size_t bytesNeeded(at::IntArrayRef shape, c10::ScalarType type) {
  size_t bytes = c10::elementSize(type);
  for (const int64_t side : shape) {
    if (side < 0) throw CallError("a side of the shape is negative");
    if (side != 0 && bytes > kMostBytes / static_cast<size_t>(side)) throw CallError("the shape is too large");
    bytes *= static_cast<size_t>(side);
  }
  return bytes;
}

// fromBytes(typedArray, shape, dtype): a copy
napi_value fromBytes(napi_env env, napi_callback_info info) {
  return guarded(env, "tensor", [&] {
    napi_value args[3];
    arguments(env, info, args);
    const Bytes bytes = bytesOf(env, args[0]);
    const auto shape = intsFromJs(env, args[1], 0);
    const auto type = scalarTypeFromName(stringFromJs(env, args[2]));
    if (bytes.length != bytesNeeded(shape, type)) throw CallError("the shape " + c10::str(at::IntArrayRef(shape)) + " of " + scalarTypeName(type) + " needs " + std::to_string(bytesNeeded(shape, type)) + " bytes, got " + std::to_string(bytes.length));
    at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(type));
    if (bytes.length) std::memcpy(tensor.data_ptr(), bytes.data, bytes.length);
    Environment& environment = environmentOf(env);
    napi_value result = tensorToJs(env, environment, tensor);
    reportMemory(env, environment);
    return result;
  });
}

// borrowBytes(typedArray, shape, strides | undefined, dtype): shares the memory, which stays alive as long as the tensor
napi_value borrowBytes(napi_env env, napi_callback_info info) {
  return guarded(env, "tensorOver", [&] {
    napi_value args[4];
    arguments(env, info, args);
    Environment& environment = environmentOf(env);
    environment.borrowed->drain(env);
    const Bytes bytes = bytesOf(env, args[0]);
    const auto shape = intsFromJs(env, args[1], 0);
    const auto type = scalarTypeFromName(stringFromJs(env, args[3]));
    std::vector<int64_t> strides(shape.size());
    if (isMissing(env, args[2])) {
      int64_t stride = 1;
      for (size_t i = shape.size(); i-- > 0;) {
        strides[i] = stride;
        stride *= shape[i];
      }
    } else {
      strides = intsFromJs(env, args[2], 0);
      if (strides.size() != shape.size()) throw CallError("strides and shape differ in length");
    }
    size_t needed = bytesNeeded(shape, type) == 0 ? 0 : c10::elementSize(type);
    for (size_t i = 0; i < shape.size(); ++i) {
      if (strides[i] < 0) throw CallError("a stride is negative");
      if (needed == 0) continue;
      const size_t stride = static_cast<size_t>(strides[i]) * c10::elementSize(type);
      const size_t steps = static_cast<size_t>(shape[i] - 1);
      if (steps && stride > kMostBytes / steps) throw CallError("the shape is too large");
      needed += stride * steps;
    }
    if (needed > bytes.length) throw CallError("the shape needs " + std::to_string(needed) + " bytes, the array has " + std::to_string(bytes.length));
    napi_ref ref;
    check(env, napi_create_reference(env, args[0], 1, &ref));
    auto borrowed = environment.borrowed;
    at::Tensor tensor = at::from_blob(bytes.data, shape, strides, [borrowed, ref](void*) { borrowed->retire(ref); }, at::TensorOptions().dtype(type));
    return tensorToJs(env, environment, tensor);
  });
}

// readBytes(tensor, typedArray): copies the elements in C order
napi_value readBytes(napi_env env, napi_callback_info info) {
  return guarded(env, "readBytes", [&] {
    napi_value args[2];
    arguments(env, info, args);
    Environment& environment = environmentOf(env);
    const at::Tensor source = tensorFromJs(env, environment, args[0]).detach().to(at::kCPU).contiguous();
    const Bytes bytes = bytesOf(env, args[1]);
    const size_t length = static_cast<size_t>(source.numel()) * source.element_size();
    if (bytes.length != length) throw CallError("the array has " + std::to_string(bytes.length) + " bytes, the tensor " + std::to_string(length));
    if (length) std::memcpy(bytes.data, source.data_ptr(), length);
    return static_cast<napi_value>(nullptr);
  });
}

napi_value item(napi_env env, napi_callback_info info) {
  return guarded(env, "item", [&] {
    napi_value args[1];
    arguments(env, info, args);
    const at::Tensor& tensor = tensorFromJs(env, environmentOf(env), args[0]);
    napi_value result;
    check(env, napi_create_double(env, tensor.item().toDouble(), &result));
    return result;
  });
}

napi_value shape(napi_env env, napi_callback_info info) {
  return guarded(env, "shape", [&] {
    napi_value args[1];
    arguments(env, info, args);
    return intsToJs(env, tensorFromJs(env, environmentOf(env), args[0]).sizes());
  });
}

napi_value strides(napi_env env, napi_callback_info info) {
  return guarded(env, "strides", [&] {
    napi_value args[1];
    arguments(env, info, args);
    return intsToJs(env, tensorFromJs(env, environmentOf(env), args[0]).strides());
  });
}

napi_value dtype(napi_env env, napi_callback_info info) {
  return guarded(env, "dtype", [&] {
    napi_value args[1];
    arguments(env, info, args);
    return stringToJs(env, scalarTypeName(tensorFromJs(env, environmentOf(env), args[0]).scalar_type()));
  });
}

napi_value device(napi_env env, napi_callback_info info) {
  return guarded(env, "device", [&] {
    napi_value args[1];
    arguments(env, info, args);
    return stringToJs(env, tensorFromJs(env, environmentOf(env), args[0]).device().str());
  });
}

// sameTensor(a, b): whether both numbers stand for one tensor (in-place operators return their argument)
napi_value sameTensor(napi_env env, napi_callback_info info) {
  return guarded(env, "sameTensor", [&] {
    napi_value args[2];
    arguments(env, info, args);
    Environment& environment = environmentOf(env);
    const bool same = tensorFromJs(env, environment, args[0]).is_same(tensorFromJs(env, environment, args[1]));
    napi_value result;
    check(env, napi_get_boolean(env, same, &result));
    return result;
  });
}

napi_value isContiguous(napi_env env, napi_callback_info info) {
  return guarded(env, "isContiguous", [&] {
    napi_value args[2];
    arguments(env, info, args);
    const auto format = isMissing(env, args[1]) ? c10::MemoryFormat::Contiguous : static_cast<c10::MemoryFormat>(intFromJs(env, args[1]));
    napi_value result;
    check(env, napi_get_boolean(env, tensorFromJs(env, environmentOf(env), args[0]).is_contiguous(format), &result));
    return result;
  });
}

// release(numbers): frees many at once; freed ones are passed over
napi_value release(napi_env env, napi_callback_info info) {
  return guarded(env, "release", [&] {
    napi_value args[1];
    arguments(env, info, args);
    Environment& environment = environmentOf(env);
    uint32_t length = 0;
    check(env, napi_get_array_length(env, args[0], &length));
    for (uint32_t i = 0; i < length; ++i) {
      napi_value id;
      check(env, napi_get_element(env, args[0], i, &id));
      environment.tensors.release(numberFromJs(env, id));
    }
    environment.borrowed->drain(env);
    reportMemory(env, environment);
    return static_cast<napi_value>(nullptr);
  });
}

napi_value liveTensors(napi_env env, napi_callback_info) {
  napi_value result;
  napi_create_double(env, static_cast<double>(environmentOf(env).tensors.live()), &result);
  return result;
}

}  // namespace

void registerTensors(napi_env env, napi_value exports) {
  exportFunction(env, exports, "fromBytes", fromBytes);
  exportFunction(env, exports, "borrowBytes", borrowBytes);
  exportFunction(env, exports, "readBytes", readBytes);
  exportFunction(env, exports, "item", item);
  exportFunction(env, exports, "shape", shape);
  exportFunction(env, exports, "strides", strides);
  exportFunction(env, exports, "dtype", dtype);
  exportFunction(env, exports, "device", device);
  exportFunction(env, exports, "sameTensor", sameTensor);
  exportFunction(env, exports, "isContiguous", isContiguous);
  exportFunction(env, exports, "release", release);
  exportFunction(env, exports, "liveTensors", liveTensors);
}

}  // namespace goshawk
