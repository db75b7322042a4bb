// Every unit resolver: hands the whole context to its function, and raises the failures that functions return as
// documents as GraphQL errors with their own `errorType`.
import { util } from '@aws-appsync/utils';

export function request(ctx) {
  const { arguments: args, identity, source, request, prev, info } = ctx;
  return { operation: 'Invoke', payload: { arguments: args, identity, source, request, prev, info } };
}

export function response(ctx) {
  if (ctx.error) {
    // A fault: the function's message ends in the request's id, which is the app's own if it died without a word.
    const told = ctx.error.message.split('correlation id ')[1];
    const correlationId = told ?? ctx.request.headers['x-correlation-id'];
    util.error(ctx.error.message, ctx.error.type, null, { correlationId });
  }
  const { result } = ctx;
  if (result && result.errorType && result.errorMessage) {
    util.error(result.errorMessage, result.errorType, null, result.errorInfo);
  }
  return result;
}
