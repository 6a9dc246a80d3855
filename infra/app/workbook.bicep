// The picture for administrators, in the Azure portal under Application Insights, Workbooks.

@description('Region of the workbook.')
param location string

@description('Tags of the workbook.')
param tags object

@description('Resource id of the Application Insights resource.')
param appInsightsId string

var resourceType = 'microsoft.insights/components'

var charts = [
  {
    name: 'photos'
    title: 'Users, by outcome'
    query: loadTextContent('queries/workbook/photos.kql')
    visualization: 'barchart'
  }
  {
    name: 'lag'
    title: 'Minutes from the notification to the photo in SharePoint'
    query: loadTextContent('queries/workbook/lag.kql')
    visualization: 'timechart'
  }
  {
    name: 'failures'
    title: 'Failures, by reason'
    query: loadTextContent('queries/workbook/failures.kql')
    visualization: 'table'
  }
  {
    name: 'requests'
    title: 'Requests: checks call Graph, syncs call Graph once and SharePoint'
    query: loadTextContent('queries/workbook/requests.kql')
    visualization: 'timechart'
  }
  {
    name: 'throttling'
    title: 'Seconds for which a service was closed, by service'
    query: loadTextContent('queries/workbook/throttling.kql')
    visualization: 'timechart'
  }
  {
    name: 'sweeps'
    title: 'Sweeps'
    query: loadTextContent('queries/workbook/sweeps.kql')
    visualization: 'table'
  }
  {
    name: 'subscription'
    title: 'The Graph subscription'
    query: loadTextContent('queries/workbook/subscription.kql')
    visualization: 'table'
  }
]

var period = {
  type: 9
  name: 'parameters'
  content: {
    version: 'KqlParameterItem/1.0'
    style: 'pills'
    queryType: 0
    resourceType: resourceType
    parameters: [
      {
        id: guid(appInsightsId, 'period')
        version: 'KqlParameterItem/1.0'
        name: 'period'
        label: 'Period'
        type: 4
        isRequired: true
        value: { durationMs: 604800000 }
        typeSettings: {
          allowCustom: true
          selectableValues: [
            { durationMs: 3600000 }
            { durationMs: 86400000 }
            { durationMs: 604800000 }
            { durationMs: 2592000000 }
          ]
        }
      }
    ]
  }
}

var queryItems = map(charts, chart => {
  type: 3
  name: chart.name
  content: {
    version: 'KqlItem/1.0'
    query: chart.query
    size: 0
    title: chart.title
    timeContextFromParameter: 'period'
    queryType: 0
    resourceType: resourceType
    visualization: chart.visualization
  }
})

var content = {
  version: 'Notebook/1.0'
  items: concat([period], queryItems)
  fallbackResourceIds: [appInsightsId]
  '$schema': 'https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json'
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(appInsightsId, 'photo-sync')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Profile photos in SharePoint'
    category: 'workbook'
    sourceId: appInsightsId
    serializedData: string(content)
  }
}
