// Mail when an administrator must act. Each rule fires if its query returns a row; docs/runbook.md has the remedies.

@description('Name that the alerts and the action group begin with.')
param name string

@description('Region of the alerts.')
param location string

@description('Tags of the alerts.')
param tags object

@description('Resource id of the Application Insights resource.')
param appInsightsId string

@description('Where the mails go.')
param email string

@description('Median lag, in minutes, above which a mail is sent.')
param medianLagMinutes int

var lagQuery = replace(
  loadTextContent('queries/lag.kql'),
  'let tolerated = 10m;',
  'let tolerated = ${medianLagMinutes}m;'
)

var rules = [
  {
    name: 'poison'
    title: 'Messages failed for good'
    description: 'The users are listed under failed in GET /api/status, and the next sweep checks them again.'
    query: loadTextContent('queries/poison.kql')
    every: 'PT15M'
    window: 'PT30M'
  }
  {
    name: 'subscription'
    title: 'The Graph subscription is about to expire'
    description: 'It was not confirmed for three hours, or expires within one. POST /api/subscription says why.'
    query: loadTextContent('queries/subscription.kql')
    every: 'PT1H'
    window: 'P1D'
  }
  {
    name: 'brake'
    title: 'A sweep is braked'
    description: 'Suspiciously many photos are missing at once. Check them, then POST /api/sweeps?release_brake=<id>.'
    query: loadTextContent('queries/brake.kql')
    every: 'PT15M'
    window: 'PT30M'
  }
  {
    name: 'gate'
    title: 'A service stays closed'
    description: 'Graph or SharePoint denied or throttled the app for half of two hours. GET /api/status says why.'
    query: loadTextContent('queries/gate.kql')
    every: 'PT30M'
    window: 'PT2H'
  }
  {
    name: 'lag'
    title: 'Changed photos arrive late'
    description: 'The median from notification to SharePoint is too long; see the workbook for throttling and failures.'
    query: lagQuery
    every: 'PT1H'
    window: 'PT6H'
  }
]

resource administrators 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'photo-sync'
    emailReceivers: [
      {
        name: 'administrators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: '${name}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'photo-sync: ${rule.title}'
      description: rule.description
      severity: 2
      enabled: true
      autoMitigate: true // one mail until the query returns no row any more
      scopes: [
        appInsightsId
      ]
      evaluationFrequency: rule.every
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: [
          administrators.id
        ]
      }
    }
  }
]
