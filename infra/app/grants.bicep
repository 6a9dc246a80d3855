// Optional: the application permissions of the identity, with the Microsoft Graph extension of Bicep.
// The deployer needs AppRoleAssignment.ReadWrite.All and Application.Read.All: a Privileged Role Administrator has
// them. scripts/grant.py grants the same without this file.

extension microsoftGraphV1

@description('Object id of the service principal of the identity.')
param principalId string

@description('The SharePoint application permission for the thumbnails of the My Site host.')
param filesRole string

@description('Whether the app lists the users of a group.')
param listsGroup bool

var graphRoles = listsGroup ? ['User.Read.All', 'GroupMember.ReadBasic.All'] : ['User.Read.All']
var sharePointRoles = ['User.ReadWrite.All', filesRole]

resource graph 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: '00000003-0000-0000-c000-000000000000'
}

resource sharePoint 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: '00000003-0000-0ff1-ce00-000000000000'
}

resource graphGrants 'Microsoft.Graph/appRoleAssignedTo@v1.0' = [
  for role in graphRoles: {
    principalId: principalId
    resourceId: graph.id
    appRoleId: filter(graph.appRoles, known => known.value == role)[0].id
  }
]

resource sharePointGrants 'Microsoft.Graph/appRoleAssignedTo@v1.0' = [
  for role in sharePointRoles: {
    principalId: principalId
    resourceId: sharePoint.id
    appRoleId: filter(sharePoint.appRoles, known => known.value == role)[0].id
  }
]
