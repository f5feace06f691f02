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
    // -1 until it said hello, and of a rank's further connections.
    int64_t rank = -1;
    bool greeted = false;
    bool leaving = false;
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

  void run();
  void accept();
  // false: the connection is to be closed.
  bool receive(Client& client);
  bool flush(Client& client);
  void handle(Client& client, MessageReader message);
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
  std::thread thread_;
};

}  // namespace goshawk
