// A graphql-ws client whose subscriptions go on where they stopped. Apollo Client and urql take it as it is.
//
// graphql-ws begins a subscription again, with the same request, whenever its socket is lost. Here that request asks for
// what comes after the last update that arrived: nothing is missed, and nothing comes twice. The subscription takes its
// cursor as the variable `after`, and selects `cursor` beside what it wants to know.

import { createClient } from "graphql-ws";

const TOO_SLOW = 4429; // the gateway waits for nobody: whoever read too slowly comes back with the cursor

export function createResumingClient(options) {
  const client = createClient({ retryAttempts: Infinity, shouldRetry: () => true, ...options });

  function subscribe(payload, sink) {
    const request = { ...payload, variables: { ...payload.variables } };
    let stop = () => {};
    let stopped = false;
    const begin = () => {
      if (stopped) return;
      stop = client.subscribe(request, {
        next(result) {
          const update = Object.values(result.data ?? {})[0];
          if (update?.cursor) request.variables.after = update.cursor;
          sink.next(result);
        },
        error(error) {
          if (error?.code === TOO_SLOW) setTimeout(begin, 1000);
          else sink.error(error);
        },
        complete: () => sink.complete(),
      });
    };
    begin();
    return () => {
      stopped = true;
      stop();
    };
  }

  return { ...client, subscribe };
}

// Say whether the updates do not reach back to the cursor any more: then the first screen is loaded anew.
export const isExpired = (error) =>
  [error, ...(error?.errors ?? error?.graphQLErrors ?? []), ...(Array.isArray(error) ? error : [])].some(
    (each) => each?.extensions?.code === "CURSOR_EXPIRED",
  );
