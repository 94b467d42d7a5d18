/**
 * DescribeAcls, CreateAcls, DeleteAcls: access rules. Versions: 1 pattern types, 2 flexible, 3 user resources.
 * Our client does not send them; the in-process broker answers 54 SECURITY_DISABLED.
 */
import { api, array, int8, int16, int32, string } from '../schema.js'

export const DescribeAcls = api(
  29,
  'DescribeAcls',
  { versions: '1-3', flexible: '2+', broker: '1-3' },
  {
    request: {
      resourceTypeFilter: int8('0+'),
      resourceNameFilter: string('0+', { nullable: '0+' }),
      patternTypeFilter: int8('1+', { default: 3 }),
      principalFilter: string('0+', { nullable: '0+' }),
      hostFilter: string('0+', { nullable: '0+' }),
      operation: int8('0+'),
      permissionType: int8('0+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      resources: array('0+', {
        resourceType: int8('0+'),
        resourceName: string('0+'),
        patternType: int8('1+', { default: 3 }),
        acls: array('0+', {
          principal: string('0+'),
          host: string('0+'),
          operation: int8('0+'),
          permissionType: int8('0+'),
        }),
      }),
    },
  },
)

export const CreateAcls = api(
  30,
  'CreateAcls',
  { versions: '1-3', flexible: '2+', broker: '1-3' },
  {
    request: {
      creations: array('0+', {
        resourceType: int8('0+'),
        resourceName: string('0+'),
        resourcePatternType: int8('1+', { default: 3 }),
        principal: string('0+'),
        host: string('0+'),
        operation: int8('0+'),
        permissionType: int8('0+'),
      }),
    },
    response: {
      throttleTimeMs: int32('0+'),
      results: array('0+', {
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+' }),
      }),
    },
  },
)

export const DeleteAcls = api(
  31,
  'DeleteAcls',
  { versions: '1-3', flexible: '2+', broker: '1-3' },
  {
    request: {
      filters: array('0+', {
        resourceTypeFilter: int8('0+'),
        resourceNameFilter: string('0+', { nullable: '0+' }),
        patternTypeFilter: int8('1+', { default: 3 }),
        principalFilter: string('0+', { nullable: '0+' }),
        hostFilter: string('0+', { nullable: '0+' }),
        operation: int8('0+'),
        permissionType: int8('0+'),
      }),
    },
    response: {
      throttleTimeMs: int32('0+'),
      filterResults: array('0+', {
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+' }),
        matchingAcls: array('0+', {
          errorCode: int16('0+'),
          errorMessage: string('0+', { nullable: '0+' }),
          resourceType: int8('0+'),
          resourceName: string('0+'),
          patternType: int8('1+', { default: 3 }),
          principal: string('0+'),
          host: string('0+'),
          operation: int8('0+'),
          permissionType: int8('0+'),
        }),
      }),
    },
  },
)
