// Processes that compute together: the store, groups, collectives, gradients in pieces. Calls wait in place: no thread of a group ever
// comes to JavaScript.
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "distributed/gradient-buckets.h"
#include "distributed/process-group.h"
#include "distributed/store-server.h"
#include "module.h"
#include "values.h"

namespace goshawk {

namespace {

// What JavaScript knows by a number until it lets it go.
template <typename Kept>
class Numbered {
 public:
  double add(std::unique_ptr<Kept> kept) {
    const std::lock_guard<std::mutex> lock(mutex_);
    entries_.emplace(next_, std::move(kept));
    return static_cast<double>(next_++);
  }
  Kept& get(int64_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return *find(number)->second;
  }
  std::unique_ptr<Kept> take(int64_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto entry = find(number);
    std::unique_ptr<Kept> kept = std::move(entry->second);
    entries_.erase(entry);
    return kept;
  }

 private:
  typename std::map<int64_t, std::unique_ptr<Kept>>::iterator find(int64_t number) {
    const auto entry = entries_.find(number);
    if (entry == entries_.end()) throw CallError("it was closed");
    return entry;
  }

  std::mutex mutex_;
  std::map<int64_t, std::unique_ptr<Kept>> entries_;
  int64_t next_ = 0;
};

// Never destroyed: a process that ends does not wait for the others.
template <typename Kept>
Numbered<Kept>& all() {
  static auto* entries = new Numbered<Kept>();
  return *entries;
}

uint16_t portFromJs(napi_env env, napi_value value) {
  const int64_t port = intFromJs(env, value);
  if (port < 0 || port > 65535) throw CallError("a port is a number from 0 to 65535, got " + std::to_string(port));
  return static_cast<uint16_t>(port);
}

std::chrono::milliseconds millisecondsFromJs(napi_env env, napi_value value) {
  return std::chrono::milliseconds(static_cast<int64_t>(numberFromJs(env, value)));
}

Bytes bytesFromJs(napi_env env, napi_value value) {
  void* data = nullptr;
  size_t length = 0;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array)
    throw CallError("expected a Uint8Array");
  const auto* from = static_cast<const uint8_t*>(data);
  return Bytes(from, from + length);
}

napi_value bytesToJs(napi_env env, const Bytes& bytes) {
  void* data = nullptr;
  napi_value buffer, array;
  check(env, napi_create_arraybuffer(env, bytes.size(), &data, &buffer));
  if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  check(env, napi_create_typedarray(env, napi_uint8_array, bytes.size(), buffer, 0, &array));
  return array;
}

std::vector<std::string> keysFromJs(napi_env env, napi_value value) {
  std::vector<std::string> keys(arrayLength(env, value));
  for (uint32_t i = 0; i < keys.size(); ++i) keys[i] = stringFromJs(env, element(env, value, i));
  return keys;
}

ProcessGroup& groupFromJs(const Call& call) { return groupOf(intFromJs(call.env, call[0])); }

const at::Tensor& tensorArgument(const Call& call, size_t index) {
  return tensorFromJs(call.env, call.environment, call[index]);
}

// What the store cannot do is a failure of the group.
template <typename Body>
auto withStore(const Body& body) {
  try {
    return body();
  } catch (const RanksGoneError& error) {
    throw GroupError(error.what(), error.ranks);
  } catch (const LateError& error) {
    throw GroupError(error.what(), {});
  } catch (const RefusedError& error) {
    throw GroupError(error.what(), {});
  } catch (const ConnectionError& error) {
    throw GroupError(error.what(), {0});
  }
}

// hostStore(host, port) -> number
napi_value hostStore(Call& call) {
  const std::string host = stringFromJs(call.env, call[0]);
  const uint16_t port = portFromJs(call.env, call[1]);
  std::unique_ptr<StoreServer> server;
  try {
    server = std::make_unique<StoreServer>(host, port);
  } catch (const ConnectionError& error) {
    throw GroupError(std::string("rank 0, which keeps the store, ") + error.what(), {0});
  }
  return numberToJs(call.env, all<StoreServer>().add(std::move(server)));
}

napi_value storePort(Call& call) {
  return numberToJs(call.env, all<StoreServer>().get(intFromJs(call.env, call[0])).port());
}

napi_value closeStore(Call& call) {
  all<StoreServer>().take(intFromJs(call.env, call[0]));
  return nullptr;
}

// openGroup(rank, size, host, port, timeout, address, device) -> number
napi_value openGroup(Call& call) {
  const napi_env env = call.env;
  const GroupOptions options{
      static_cast<int>(intFromJs(env, call[0])),
      static_cast<int>(intFromJs(env, call[1])),
      {stringFromJs(env, call[2]), portFromJs(env, call[3])},
      millisecondsFromJs(env, call[4]),
      stringFromJs(env, call[5]),
      static_cast<int>(intFromJs(env, call[6]))};
  return numberToJs(env, static_cast<double>(keepGroup(std::make_unique<ProcessGroup>(options))));
}

napi_value closeGroupFromJs(Call& call) {
  withStore([&] { closeGroup(intFromJs(call.env, call[0])); });
  return nullptr;
}

// storeSet(group, key, bytes)
napi_value storeSet(Call& call) {
  withStore([&] {
    groupFromJs(call).store().set(stringFromJs(call.env, call[1]), bytesFromJs(call.env, call[2]));
  });
  return nullptr;
}

// storeGet(group, key, timeout) -> bytes
napi_value storeGet(Call& call) {
  return bytesToJs(call.env, withStore([&] {
                     return groupFromJs(call).store().get(
                         stringFromJs(call.env, call[1]), millisecondsFromJs(call.env, call[2]));
                   }));
}

// storeAdd(group, key, amount) -> sum
napi_value storeAdd(Call& call) {
  return numberToJs(call.env, static_cast<double>(withStore([&] {
                      return groupFromJs(call).store().add(
                          stringFromJs(call.env, call[1]), intFromJs(call.env, call[2]));
                    })));
}

// storeWait(group, keys, timeout)
napi_value storeWait(Call& call) {
  withStore([&] {
    groupFromJs(call).store().wait(keysFromJs(call.env, call[1]), millisecondsFromJs(call.env, call[2]));
  });
  return nullptr;
}

// broadcast(group, tensor, root)
napi_value broadcast(Call& call) {
  groupFromJs(call).broadcast(tensorArgument(call, 1), static_cast<int>(intFromJs(call.env, call[2])));
  return nullptr;
}

// allReduce(group, tensor, reduction, name) -> number of the work
napi_value allReduce(Call& call) {
  const auto reduction = static_cast<Reduction>(intFromJs(call.env, call[2]));
  return numberToJs(
      call.env, all<CollectiveWork>().add(groupFromJs(call).allReduce(
                    tensorArgument(call, 1), reduction, stringFromJs(call.env, call[3]))));
}

napi_value waitForWork(Call& call) {
  all<CollectiveWork>().take(intFromJs(call.env, call[0]))->wait();
  return nullptr;
}

// allGather(group, tensor) -> tensor
napi_value allGather(Call& call) {
  return tensorToJs(call.env, call.environment, groupFromJs(call).allGather(tensorArgument(call, 1)));
}

napi_value barrier(Call& call) {
  groupFromJs(call).barrier();
  return nullptr;
}

// agree(group, text)
napi_value agree(Call& call) {
  groupFromJs(call).agree(stringFromJs(call.env, call[1]));
  return nullptr;
}

napi_value settle(Call& call) {
  groupFromJs(call).settle();
  return nullptr;
}

// groupSpent(group) -> [milliseconds, bytes]
napi_value groupSpent(Call& call) {
  const ProcessGroup& group = groupFromJs(call);
  napi_value array;
  check(call.env, napi_create_array_with_length(call.env, 2, &array));
  check(call.env, napi_set_element(call.env, array, 0, numberToJs(call.env, group.waitedMilliseconds())));
  check(call.env, napi_set_element(call.env, array, 1, numberToJs(call.env, group.sentBytes())));
  return array;
}

// openBuckets(group, parameters, bytes, name) -> number
napi_value openBuckets(Call& call) {
  std::vector<at::Tensor> parameters;
  const uint32_t count = arrayLength(call.env, call[1]);
  for (uint32_t i = 0; i < count; ++i)
    parameters.push_back(tensorFromJs(call.env, call.environment, element(call.env, call[1], i)));
  auto buckets = std::make_unique<GradientBuckets>(
      groupFromJs(call), std::move(parameters), intFromJs(call.env, call[2]), stringFromJs(call.env, call[3]));
  return numberToJs(call.env, all<GradientBuckets>().add(std::move(buckets)));
}

napi_value beginBuckets(Call& call) {
  all<GradientBuckets>().get(intFromJs(call.env, call[0])).begin();
  return nullptr;
}

// finishBuckets(buckets, factor) -> indices
napi_value finishBuckets(Call& call) {
  return intsToJs(
      call.env, all<GradientBuckets>().get(intFromJs(call.env, call[0])).finish(numberFromJs(call.env, call[1])));
}

napi_value closeBuckets(Call& call) {
  all<GradientBuckets>().take(intFromJs(call.env, call[0]));
  return nullptr;
}

constexpr Export kDistributedExports[] = {
    {"hostStore", hostStore},
    {"storePort", storePort},
    {"closeStore", closeStore},
    {"openGroup", openGroup, "openProcessGroup"},
    {"closeGroup", closeGroupFromJs},
    {"storeSet", storeSet},
    {"storeGet", storeGet},
    {"storeAdd", storeAdd},
    {"storeWait", storeWait},
    {"broadcast", broadcast},
    {"allReduce", allReduce},
    {"waitForWork", waitForWork, "allReduce"},
    {"allGather", allGather},
    {"barrier", barrier},
    {"agree", agree},
    {"settle", settle},
    {"groupSpent", groupSpent},
    {"openBuckets", openBuckets},
    {"beginBuckets", beginBuckets},
    {"finishBuckets", finishBuckets},
    {"closeBuckets", closeBuckets},
};

}  // namespace

void registerDistributed(napi_env env, napi_value exports) { exportAll(env, exports, kDistributedExports); }

}  // namespace goshawk
