import 'graphiql/style.css';
import './workers.js';
import { createRoot } from 'react-dom/client';
import { GraphiQL } from 'graphiql';
import { createGraphiQLFetcher } from '@graphiql/toolkit';

const url = new URL(window.location.pathname, window.location.origin);
const socketUrl = url.href.replace(/^http/, 'ws');
const fetcher = createGraphiQLFetcher({ url: url.href, subscriptionUrl: socketUrl });

const defaultHeaders = '{\n  "Authorization": "Bearer YOUR_TOKEN"\n}\n';
const defaultQuery = `# Crossdock
#
# 1. Make a token: crossdock token --role ADMIN
# 2. Paste it into the headers below.
# 3. Fetch the schema again (the arrows at the lower left),
#    and the documentation and the completion are there.
#
# Subscriptions run over WebSocket with the same token.

{
  viewer {
    role
    name
  }
}
`;

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL
    fetcher={fetcher}
    defaultQuery={defaultQuery}
    defaultHeaders={defaultHeaders}
    defaultEditorToolsVisibility="headers"
    shouldPersistHeaders={false}
  />,
);
