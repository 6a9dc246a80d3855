// The identity of the app: for storage, the vault and telemetry, and for Microsoft Graph and SharePoint.

@description('Name of the identity.')
param name string

@description('Region of the identity.')
param location string

@description('Tags of the identity.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id of the identity.')
output id string = identity.id

@description('Client id of the identity: the CLIENT_ID of the app.')
output clientId string = identity.properties.clientId

@description('Object id of the service principal of the identity: roles are granted to it.')
output principalId string = identity.properties.principalId

@description('Name of the identity.')
output name string = identity.name
