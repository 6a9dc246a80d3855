// The vault for the one secret of the app: the key that signs the clientState of the Graph subscription.

@description('Name of the vault.')
param name string

@description('Region of the vault.')
param location string

@description('Tags of the vault.')
param tags object

@description('Close the public endpoint; the vault is then reached through a private endpoint only.')
param private bool

@description('The secret of the first deployment: 36 characters with 122 random bits. Later deployments ignore it.')
@secure()
param firstSecret string = newGuid()

var secretName = 'client-state'

// No purge protection: the secret can be made again at any time, and the name of the vault is free after `azd down`.
resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: private ? 'Deny' : 'Allow'
    }
  }
}

// Written at the first deployment, left alone by all others: a rotation in the vault survives.
@onlyIfNotExists()
resource clientState 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = {
  parent: vault
  name: secretName
  properties: {
    value: firstSecret
    contentType: 'one secret, or new,old during a rotation'
  }
}

@description('Name of the vault.')
output name string = vault.name

@description('Resource id of the vault.')
output id string = vault.id

@description('Reference to the newest version of the secret, as an app setting has it.')
output clientStateReference string = '@Microsoft.KeyVault(SecretUri=${vault.properties.vaultUri}secrets/${secretName}/)'
