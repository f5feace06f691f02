// Gradients of many parameters, summed over the processes in a few large pieces.
#pragma once
#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "process-group.h"

namespace goshawk {

// A piece is sent as soon as all its gradients are there and those before it were sent, which is while the rest of the backward
// pass still computes (Li et al., PyTorch Distributed, 2020, section 3.2.3); pieces are in the reverse order of the parameters,
// about that in which their gradients come. The order in which they are sent is the same in every process.
class GradientBuckets {
 public:
  // `names` of the parameters are for errors. `bytes` is the size of a piece; a single gradient may be larger.
  GradientBuckets(ProcessGroup& group, std::vector<at::Tensor> parameters, int64_t bytes, const std::string& name);
  ~GradientBuckets();

  // From now on, until finish(), pieces are sent while the backward pass computes.
  void begin();
  // Sends what is left, those without a gradient as zeros, and waits. Every gradient becomes the sum times `factor`. Returns which
  // parameters have none here, each by its index, or by -1 - index where no process has one: it stays undefined then.
  std::vector<int64_t> finish(double factor);

 private:
  struct Bucket {
    std::vector<size_t> members;
    std::vector<int64_t> offsets;
    int64_t length = 0;
    size_t missing = 0;
    at::Tensor flat;
    std::unique_ptr<CollectiveWork> work;
  };

  void arrived(size_t parameter);
  void sendReady();
  void send(Bucket& bucket);
  at::Tensor placeOf(const Bucket& bucket, size_t member) const;

  struct Hooks;

  ProcessGroup& group_;
  std::vector<at::Tensor> parameters_;
  std::vector<Bucket> buckets_;
  std::vector<size_t> bucketOf_;
  std::string name_;
  size_t next_ = 0;
  bool armed_ = false;
  std::shared_ptr<Hooks> hooks_;
};

}  // namespace goshawk
