import { util } from '@aws-appsync/utils';

export function request(ctx) {
  const { arguments: args, identity, source, request, prev, info } = ctx;
  return { operation: 'Invoke', payload: { arguments: args, identity, source, request, prev, info } };
}

export function response(ctx) {
  if (ctx.error) util.error(ctx.error.message, ctx.error.type);
  const { result } = ctx;
  if (result && result.errorType && result.errorMessage) {
    util.error(result.errorMessage, result.errorType, result.data, result.errorInfo);
  }
  return result;
}
