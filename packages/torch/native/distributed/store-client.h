// A process's end of the store, as the engine's groups want one.
#pragma once
#include <mutex>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "sockets.h"

namespace goshawk {

struct StorePlace {
  std::string host;
  uint16_t port;
};

// Somebody went without a goodbye while others counted on them.
struct RanksGoneError : ConnectionError {
  explicit RanksGoneError(std::vector<int64_t> gone);
  std::vector<int64_t> ranks;
};

// This process, or one that came while others were still waited for, does not fit the others.
struct RefusedError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What a process says of itself when it joins.
struct Introduction {
  // Processes of the run, as it was told.
  int64_t size = 0;
  // What must be the same of all, in words that go on "rank 1 is one of ...".
  std::string kind;
  // Which process it is, in words.
  std::string place;
};

// What was waited for did not come in time.
struct LateError : std::runtime_error {
  explicit LateError(const std::string& key) : std::runtime_error("waited in vain for " + key), missing(key) {}
  std::string missing;
};

class StoreClient : public c10d::Store {
 public:
  // Tries to connect until `timeout` is over. `rank` -1: a further connection, whose end tells nobody that a rank is gone.
  // Throws RefusedError where the process does not fit those that are there.
  StoreClient(StorePlace place, int64_t rank, const Introduction& introduction, std::chrono::milliseconds timeout);
  ~StoreClient() override = default;

  // The address by which this process reaches the store: where the others reach it, too.
  std::string address() const { return ownAddress(socket_); }

  void set(const std::string& key, const Bytes& value) override;
  Bytes compareSet(const std::string& key, const Bytes& expected, const Bytes& desired) override;
  Bytes get(const std::string& key) override { return get(key, timeout_); }
  Bytes get(const std::string& key, std::chrono::milliseconds timeout);
  int64_t add(const std::string& key, int64_t amount) override;
  bool deleteKey(const std::string& key) override;
  bool check(const std::vector<std::string>& keys) override;
  int64_t getNumKeys() override;
  void wait(const std::vector<std::string>& keys) override { wait(keys, timeout_); }
  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) override;
  // Not marked as overriding: older engines' stores have no such function.
  c10::intrusive_ptr<c10d::Store> clone();

  // Ranks whose connection ended without a goodbye.
  std::vector<int64_t> gone();
  // Tells all that wait, and will wait, why the processes cannot come together.
  void refuse(const std::string& why);
  // From now on answers are waited for no longer than a failure takes to be told.
  void hurry();
  void goodbye();

 private:
  // Throws ConnectionError where nobody of this program's listens.
  void greet(const class MessageWriter& hello, Deadline deadline);
  // The fields of the answer behind the first; throws LateError, RanksGoneError and RefusedError.
  Bytes ask(const class MessageWriter& request, std::chrono::milliseconds patience);

  StorePlace place_;
  Socket socket_;
  std::mutex mutex_;
  // For the answer itself, beyond what the request waits for.
  std::chrono::milliseconds forAnswer_;
  // After an answer that did not come in time the next one would be taken for another's.
  bool broken_ = false;
};

}  // namespace goshawk
