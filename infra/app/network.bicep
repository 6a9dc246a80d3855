// Optional: a virtual network; the app reaches its storage account and its vault through private endpoints.

@description('Name of the virtual network; the names of the endpoints begin with it.')
param name string

@description('Region of the network.')
param location string

@description('Tags of the network.')
param tags object

@description('Address range of the virtual network, /23 or larger.')
param addressPrefix string

@description('Resource id of the storage account.')
param storageId string

@description('Resource id of the vault.')
param vaultId string

var appSubnet = 'app' // Flex Consumption accepts no underscore in this name
var endpointSubnet = 'endpoints'

var endpoints = [
  {
    service: 'blob'
    resourceId: storageId
    zone: 'privatelink.blob.${environment().suffixes.storage}'
  }
  {
    service: 'queue'
    resourceId: storageId
    zone: 'privatelink.queue.${environment().suffixes.storage}'
  }
  {
    service: 'table'
    resourceId: storageId
    zone: 'privatelink.table.${environment().suffixes.storage}'
  }
  {
    service: 'vault'
    resourceId: vaultId
    zone: 'privatelink${replace(environment().suffixes.keyvaultDns, 'vault', 'vaultcore')}'
  }
]

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    subnets: [
      {
        name: appSubnet
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 0)
          defaultOutboundAccess: true // to Microsoft Graph and SharePoint
          delegations: [
            {
              name: 'flex-consumption'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: endpointSubnet
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 1)
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for endpoint in endpoints: {
    name: endpoint.zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (endpoint, index) in endpoints: {
    parent: zones[index]
    name: '${name}-${endpoint.service}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: network.id
      }
    }
  }
]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-05-01' = [
  for endpoint in endpoints: {
    name: '${name}-${endpoint.service}'
    location: location
    tags: tags
    properties: {
      subnet: {
        id: resourceId('Microsoft.Network/virtualNetworks/subnets', network.name, endpointSubnet)
      }
      privateLinkServiceConnections: [
        {
          name: endpoint.service
          properties: {
            privateLinkServiceId: endpoint.resourceId
            groupIds: [
              endpoint.service
            ]
          }
        }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [
  for (endpoint, index) in endpoints: {
    parent: privateEndpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: endpoint.service
          properties: {
            privateDnsZoneId: zones[index].id
          }
        }
      ]
    }
  }
]

@description('Resource id of the subnet for the outbound traffic of the app.')
output appSubnetId string = resourceId('Microsoft.Network/virtualNetworks/subnets', network.name, appSubnet)
