// Everything that the app needs in Azure, in one resource group. `azd up` deploys it; README.md, "On Azure".

targetScope = 'subscription'

@description('Name of this deployment: of the azd environment, and in the name of the resource group.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of all resources. It must offer Flex Consumption.')
@metadata({ azd: { type: 'location' } })
param location string

@description('SHAREPOINT_HOST: the host of SharePoint Online, as in contoso.sharepoint.com.')
@minLength(1)
param sharePointHost string

@description('CLOUD: the Microsoft cloud of the tenant.')
@allowed(['global', 'gcchigh', 'dod', 'china'])
param cloud string = 'global'

@description('DRY_RUN: decide and report, and write nothing. The first deployment is a dry run; false goes live.')
param dryRun bool = true

@description('SCOPE: members, members+guests or group:<object id>.')
param userScope string = 'members'

@description('EXCLUDE_GROUP: object id of a group whose users are excluded; empty: no group.')
param excludeGroup string = ''

@description('ON_PHOTO_REMOVED: clear the picture of a user whose photo is gone, or keep it.')
@allowed(['clear', 'keep'])
param onPhotoRemoved string = 'clear'

@description('REMOVE_AFTER: how long a photo must have been missing before a sweep removes its picture (ISO 8601).')
param removeAfter string = 'PT1H'

@description('REMOVAL_BRAKE: per cent of the pictures; a sweep that misses more at once removes nothing.')
@minValue(0)
@maxValue(100)
param removalBrake int = 5

@description('SHAREPOINT_UNITS_PER_MINUTE: resource units of the quota of SharePoint that the app may use; the smallest tenant has 1250.')
@minValue(100)
@maxValue(100000)
param sharePointUnitsPerMinute int = 1000

@description('EXCHANGE_SYNC_STATE: 1 SharePoint may continue to pull from Exchange, 0 it may not, keep leaves the property unchanged.')
@allowed(['0', '1', 'keep'])
param exchangeSyncState string = '1'

@description('PHOTO_FOLDER: name of the folder of the thumbnails, only where the app cannot decide; empty: it decides.')
param photoFolder string = ''

@description('RECHECK_AFTER: when a user of a notification is checked again (ISO 8601, a comma list).')
param recheckAfter string = 'PT2M,PT15M'

@description('CLAIM_FOR: how long an attempt that died blocks others for the same user (ISO 8601); longer than functionTimeout.')
param claimFor string = 'PT7M'

@description('COMPANY: your name in the User-Agent; empty: the first label of the host of SharePoint.')
param company string = ''

@description('NOTIFICATION_URL: public https address of the app if it has another one; empty: the address of the function app.')
param notificationUrl string = ''

@description('SWEEP_SCHEDULE: when all users are checked (NCRONTAB, UTC).')
param sweepSchedule string = '0 41 */6 * * *'

@description('RENEWAL_SCHEDULE: when the Graph subscription is looked after (NCRONTAB, UTC); hourly.')
param renewalSchedule string = '0 7 * * * *'

@description('HTTP instances that never stop: Graph calls an app slow that answers after more than three seconds, as after a cold start. Billed when idle, too; 0 turns it off. docs/cost.md has the price.')
@minValue(0)
@maxValue(40)
param httpAlwaysReady int = 1

@description('The most instances of any function, or of all HTTP functions together.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Redundancy of the storage account.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_LRS'

@description('For how many days logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Where alerts are mailed to; empty: no alerts.')
param alertEmail string = ''

@description('Median lag from notification to SharePoint, in minutes, above which an alert is mailed.')
@minValue(1)
param alertMedianLagMinutes int = 10

@description('Reach storage and vault through private endpoints in a virtual network of this deployment. Their public endpoints are closed.')
param useVirtualNetwork bool = false

@description('Address range of that virtual network, /23 or larger.')
param virtualNetworkAddressPrefix string = '10.90.0.0/23'

@description('SharePoint application permission for the thumbnails. Only Sites.FullControl.All is known to work on the My Site host.')
@allowed(['Sites.FullControl.All', 'Sites.ReadWrite.All', 'Sites.Selected', 'Lists.SelectedOperations.Selected'])
param filesRole string = 'Sites.FullControl.All'

@description('Grant the application permissions in this deployment, too. Its caller must be a Privileged Role Administrator; scripts/grant.py does the same for others.')
param grantWithBicep bool = false

var tags = { 'azd-env-name': environmentName }
var resourceToken = toLower(uniqueString(subscription().id, environmentName, location))
var packageContainer = 'app-package'
var listsGroup = startsWith(toLower(userScope), 'group:') || !empty(excludeGroup)

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'app/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-photosync-${resourceToken}'
    location: location
    tags: tags
  }
}

module storage 'app/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${resourceToken}'
    location: location
    tags: tags
    sku: storageSku
    private: useVirtualNetwork
    packageContainer: packageContainer
  }
}

module vault 'app/keyvault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${resourceToken}'
    location: location
    tags: tags
    private: useVirtualNetwork
  }
}

module monitoring 'app/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: 'log-photosync-${resourceToken}'
    appInsightsName: 'appi-photosync-${resourceToken}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
}

module network 'app/network.bicep' = if (useVirtualNetwork) {
  name: 'network'
  scope: group
  params: {
    name: 'vnet-photosync-${resourceToken}'
    location: location
    tags: tags
    addressPrefix: virtualNetworkAddressPrefix
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
  }
}

module rbac 'app/rbac.bicep' = {
  name: 'rbac'
  scope: group
  params: {
    principalId: identity.outputs.principalId
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    appInsightsName: monitoring.outputs.appInsightsName
  }
}

module grants 'app/grants.bicep' = if (grantWithBicep) {
  name: 'grants'
  scope: group
  params: {
    principalId: identity.outputs.principalId
    filesRole: filesRole
    listsGroup: listsGroup
  }
}

module functionApp 'app/function-app.bicep' = {
  name: 'function-app'
  scope: group
  dependsOn: [
    rbac // the app starts with its rights, and asks for no token before it has them
    grants
  ]
  params: {
    name: 'func-photosync-${resourceToken}'
    planName: 'plan-photosync-${resourceToken}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageEndpoints: storage.outputs.endpoints
    packageContainer: packageContainer
    appInsightsConnectionString: monitoring.outputs.connectionString
    subnetId: useVirtualNetwork ? network!.outputs.appSubnetId : ''
    httpAlwaysReady: httpAlwaysReady
    maximumInstanceCount: maximumInstanceCount
    settings: {
      TENANT_ID: tenant().tenantId
      CLIENT_ID: identity.outputs.clientId
      CLIENT_STATE_SECRET: vault.outputs.clientStateReference
      SHAREPOINT_HOST: sharePointHost
      NOTIFICATION_URL: notificationUrl
      SWEEP_SCHEDULE: sweepSchedule
      RENEWAL_SCHEDULE: renewalSchedule
      CLOUD: cloud
      SCOPE: userScope
      EXCLUDE_GROUP: excludeGroup
      ON_PHOTO_REMOVED: onPhotoRemoved
      REMOVE_AFTER: removeAfter
      REMOVAL_BRAKE: string(removalBrake)
      SHAREPOINT_UNITS_PER_MINUTE: string(sharePointUnitsPerMinute)
      EXCHANGE_SYNC_STATE: exchangeSyncState
      PHOTO_FOLDER: photoFolder
      RECHECK_AFTER: recheckAfter
      CLAIM_FOR: claimFor
      COMPANY: company
      DRY_RUN: dryRun ? 'true' : 'false'
    }
  }
}

module workbook 'app/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    location: location
    tags: tags
    appInsightsId: monitoring.outputs.appInsightsId
  }
}

module alerts 'app/alerts.bicep' = if (!empty(alertEmail)) {
  name: 'alerts'
  scope: group
  params: {
    name: 'photosync-${resourceToken}'
    location: location
    tags: tags
    appInsightsId: monitoring.outputs.appInsightsId
    email: alertEmail
    medianLagMinutes: alertMedianLagMinutes
  }
}

// azd keeps the outputs as environment variables; scripts/ reads them there.

@description('The resource group.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The region.')
output AZURE_LOCATION string = location

@description('The Entra tenant.')
output AZURE_TENANT_ID string = tenant().tenantId

@description('Name of the function app.')
output FUNCTION_APP_NAME string = functionApp.outputs.name

@description('Public address of the function app.')
output FUNCTION_APP_URL string = functionApp.outputs.url

@description('Client id of the identity.')
output IDENTITY_CLIENT_ID string = identity.outputs.clientId

@description('Object id of the service principal of the identity.')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

@description('Name of the identity.')
output IDENTITY_NAME string = identity.outputs.name

@description('The setting SCOPE: a group needs one more permission.')
output SCOPE string = userScope

@description('The setting EXCLUDE_GROUP: a group needs one more permission.')
output EXCLUDE_GROUP string = excludeGroup

@description('Whether the app only reports.')
output DRY_RUN bool = dryRun

@description('The SharePoint application permission for the thumbnails.')
output FILES_ROLE string = filesRole

@description('Whether this deployment granted the application permissions.')
output GRANT_WITH_BICEP bool = grantWithBicep
