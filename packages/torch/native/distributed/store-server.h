// The place where the processes of a group find one another: keys with values, kept by the first of them in a thread of its own.
#pragma once
#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "sockets.h"

namespace goshawk {

class MessageReader;

// Listens on the address of `host` alone, where the engine's own store would take every interface. Whoever reaches that address can
// speak with it: there is no secret, as there is none in the engine's.
class StoreServer {
 public:
  StoreServer(const std::string& host, uint16_t port);
  // Waits, two seconds at most, for the others to leave first: they may still be reading an answer.
  ~StoreServer();

  uint16_t port() const { return port_; }

 private:
  struct Client {
    Socket socket;
    // -1 until it said hello, after its goodbye, and of a rank's further connections.
    int64_t rank = -1;
    bool greeted = false;
    Bytes incoming;
    Bytes outgoing;
  };
  // A Get or Wait whose keys do not stand yet.
  struct Pending {
    Client* client;
    std::vector<std::string> keys;
    bool wantsValue;
    Deadline deadline;
  };

  // A rank that said hello and has not left.
  struct Member {
    std::string kind;
    std::string place;
  };

  void run();
  void accept();
  // false: the connection is to be closed.
  bool receive(Client& client);
  bool flush(Client& client);
  void handle(Client& client, MessageReader message);
  void greet(Client& client, MessageReader& message);
  // Why a process may not join as this rank; empty where it may.
  std::string objectionTo(int64_t rank, const Member& newcomer) const;
  void handleWait(Client& client, std::vector<std::string> keys, int64_t milliseconds, bool wantsValue);
  void answer(Client& client, const class MessageWriter& message);
  bool tryAnswer(const Pending& pending);
  void answerPending();
  void drop(std::list<Client>::iterator client);
  const std::string* firstMissing(const std::vector<std::string>& keys) const;

  Socket listener_;
  uint16_t port_;
  // Written to once, to end the thread.
  Socket wakeWriting_;
  Socket wakeReading_;
  std::atomic<bool> ending_{false};
  std::list<Client> clients_;
  std::list<Pending> pending_;
  std::map<std::string, Bytes> values_;
  std::set<int64_t> gone_;
  std::map<int64_t, Member> members_;
  // Whether all ranks have been there.
  bool isComplete_ = false;
  // Why they cannot come together.
  std::string refusal_;
  std::thread thread_;
};

}  // namespace goshawk
