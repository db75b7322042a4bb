// The application sees CloudFront's address. So it is told the viewer's, which replaces whatever the viewer says of it.
// Runs in CloudFront (cloudfront-js-2.0), which knows no modules.

function handler(event) {
  var request = event.request;
  request.headers["x-viewer-address"] = { value: event.viewer.ip };
  return request;
}
