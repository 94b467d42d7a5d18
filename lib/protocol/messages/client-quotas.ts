/**
 * DescribeClientQuotas, AlterClientQuotas: limits per user, client id or address; values are float64.
 * Schema only. Version 1 is flexible.
 */
import { api, array, bool, float64, int8, int16, int32, string } from '../schema.js'

export const DescribeClientQuotas = api(
  48,
  'DescribeClientQuotas',
  { versions: '0-1', flexible: '1+' },
  {
    request: {
      components: array('0+', {
        entityType: string('0+'),
        matchType: int8('0+'),
        match: string('0+', { nullable: '0+' }),
      }),
      strict: bool('0+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      entries: array(
        '0+',
        {
          entity: array('0+', {
            entityType: string('0+'),
            entityName: string('0+', { nullable: '0+' }),
          }),
          values: array('0+', {
            key: string('0+'),
            value: float64('0+'),
          }),
        },
        { nullable: '0+' },
      ),
    },
  },
)

export const AlterClientQuotas = api(
  49,
  'AlterClientQuotas',
  { versions: '0-1', flexible: '1+' },
  {
    request: {
      entries: array('0+', {
        entity: array('0+', {
          entityType: string('0+'),
          entityName: string('0+', { nullable: '0+' }),
        }),
        ops: array('0+', {
          key: string('0+'),
          value: float64('0+'),
          remove: bool('0+'),
        }),
      }),
      validateOnly: bool('0+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      entries: array('0+', {
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+' }),
        entity: array('0+', {
          entityType: string('0+'),
          entityName: string('0+', { nullable: '0+' }),
        }),
      }),
    },
  },
)
