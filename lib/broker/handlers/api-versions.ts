/** ApiVersions: what this broker offers; the answer to a version nobody knows is the caller's (kafka.md W-17). */
import type { ApiVersions, DecodedRequestOf, ResponseOf } from '../../protocol/index.js'
import { CLOSE, codeAfter, codeBefore, type RequestContext } from '../request-context.js'

const INVALID_REQUEST = 42
const LEGAL_SOFTWARE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$/
/** First version that names the client software and answers features. */
const NAMED = 3

export function handleApiVersions(
  request: DecodedRequestOf<typeof ApiVersions>,
  context: RequestContext,
): ResponseOf<typeof ApiVersions> | typeof CLOSE {
  const refusal = context.sasl === null ? 0 : context.sasl.apiVersionsAsked()
  if (refusal === null) return CLOSE
  const isNamed =
    LEGAL_SOFTWARE_NAME.test(request.clientSoftwareName) && LEGAL_SOFTWARE_NAME.test(request.clientSoftwareVersion)
  const wrongName = context.version >= NAMED && !isNamed ? INVALID_REQUEST : 0
  const before = codeBefore(context) || refusal || wrongName
  const errorCode = codeAfter(context, before)
  if (errorCode !== 0) return { errorCode, apiKeys: [] }
  context.sasl?.apiVersionsAnswered()
  const { features } = context.cluster.profile
  return {
    errorCode: 0,
    apiKeys: context.offered(),
    supportedFeatures: features.map(({ name, maxVersion }) => ({ name, minVersion: 0, maxVersion })),
    finalizedFeaturesEpoch: features.length === 0 ? -1 : 1,
    finalizedFeatures: features
      .filter(({ level }) => level > 0)
      .map(({ name, level }) => ({ name, maxVersionLevel: level, minVersionLevel: level })),
  }
}
