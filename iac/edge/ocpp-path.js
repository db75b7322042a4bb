// Chargers dial /ocpp/{chargePointId}; API Gateway has no paths behind a WebSocket stage. So the identity moves into
// the query: /?chargePointId={id}, percent-encoded. Runs in CloudFront (cloudfront-js-2.0), which knows no modules.

function handler(event) {
  var request = event.request;
  var id = chargePointId(request.uri);
  if (id === null) {
    return { statusCode: 404, statusDescription: "Not Found" };
  }
  request.uri = "/";
  // Replaced whole: a charger's own query must not name another charger.
  request.querystring = { chargePointId: { value: id } };
  return request;
}

// Encoded anew because a path may hold bare "+", "&" and "=", which mean something else in a query.
function chargePointId(uri) {
  var found = /^\/ocpp\/([^/]+)$/.exec(uri);
  if (found === null) {
    return null;
  }
  try {
    return encodeURIComponent(decodeURIComponent(found[1]));
  } catch (malformed) {
    return null;
  }
}
