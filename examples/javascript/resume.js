// A graphql-ws client whose subscriptions go on where they stopped. Apollo Client and urql take it as it is.
//
// graphql-ws begins a subscription again, with the same request, whenever its socket is lost. Here that request asks for
// what comes after the last update that arrived: nothing is missed, and nothing comes twice. The subscription takes its
// cursor as the variable `after`, and selects `cursor` beside what it wants to know. While nothing happens that it is
// about, its cursor moves on with the gateway's pings, and does not expire.

import { createClient } from "graphql-ws";

const TOO_MUCH = 4429;

export function createResumingClient(options) {
  const client = createClient({ retryAttempts: Infinity, shouldRetry: () => true, ...options });
  const running = new Set();

  // A ping's cursor is good for the subscriptions that the gateway knew when it sent it: surely those that were sent
  // before the ping before it, which was answered after them.
  client.on("ping", (received, payload) => {
    if (!received) return;
    for (const each of running) {
      if (each.known && payload?.cursor) each.variables.after = payload.cursor;
      each.known = each.sent;
    }
  });
  client.on("closed", () => {
    for (const each of running) each.sent = each.known = false;
  });

  function subscribe(payload, sink) {
    const mine = { variables: { ...payload.variables }, sent: false, known: false };
    const request = {
      ...payload,
      variables: mine.variables,
      toJSON() {
        mine.sent = true; // graphql-ws makes its text when it sends it, on each socket anew
        return { ...payload, variables: mine.variables };
      },
    };
    let stop = () => {};
    let stopped = false;
    const end = () => {
      stopped = true;
      running.delete(mine);
    };
    const begin = () => {
      if (stopped) return;
      stop = client.subscribe(request, {
        next(result) {
          const update = Object.values(result.data ?? {})[0];
          if (update?.cursor) mine.variables.after = update.cursor;
          sink.next(result);
        },
        error(error) {
          if (isTooSlow(error)) setTimeout(begin, 1000);
          else end(), sink.error(error);
        },
        complete() {
          end();
          sink.complete();
        },
      });
    };
    running.add(mine);
    begin();
    return () => {
      end();
      stop();
    };
  }

  return { ...client, subscribe };
}

// The gateway waits for nobody: whoever read too slowly comes back with the cursor. Without one there is too much of
// something else, and coming back would not help.
const isTooSlow = (error) => error?.code === TOO_MUCH && error.reason?.startsWith("after=");

// Say whether the updates do not reach back to the cursor any more: then the first screen is loaded anew.
export const isExpired = (error) =>
  [error, ...(error?.errors ?? error?.graphQLErrors ?? []), ...(Array.isArray(error) ? error : [])].some(
    (each) => each?.extensions?.code === "CURSOR_EXPIRED",
  );
